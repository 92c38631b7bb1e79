//! PURE. The address of a node, read from its URL. Absent: name resolution and sockets.

use reqwest::Url;

/// Where a node's HTTP interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Host and port as the `Host` header writes them.
    pub authority: String,
    /// Path below which the node's routes are; empty or without its last slash.
    pub base: String,
}

/// Why a text is no address of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The text is no absolute URL.
    #[error("`{0}` is no URL; write it as http://10.0.0.7:5000")]
    NotUrl(String),
    /// TLS towards nodes is not there yet.
    #[error("`{0}` asks for https; TLS to nodes is not supported yet, use http on a trusted network")]
    Tls(String),
    /// Another scheme, a query or a password.
    #[error("`{0}` is no plain http URL; write it as http://10.0.0.7:5000, without query, fragment or user")]
    NotPlain(String),
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text).map_err(|_| EndpointError::NotUrl(text.to_owned()))?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(EndpointError::Tls(text.to_owned())),
            _ => return Err(EndpointError::NotPlain(text.to_owned())),
        }
        let bare = url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        let host = url.host_str().filter(|_| bare && anonymous);
        let host = host.ok_or_else(|| EndpointError::NotPlain(text.to_owned()))?;
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: format!("{host}:{port}"),
            base: url.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl Endpoint {
    /// The URL of one of the node's routes, such as `/report`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.authority, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_host_port_and_base() {
        let endpoint: Endpoint = "http://node-a:5000".parse().unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.base.as_str()), ("node-a", 5000, ""));
        let endpoint: Endpoint = "http://[::1]/store/".parse().unwrap();
        assert_eq!(endpoint.url("/report"), "http://[::1]:80/store/report");
        assert_eq!(endpoint.host, "::1");
    }

    #[test]
    fn each_wrong_url_says_why() {
        let error = |text: &str| text.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error("10.0.0.7:5000").contains("is no "));
        assert!(error("localhost").contains("is no URL"));
        assert!(error("https://a:1").contains("not supported yet"));
        assert!(error("ftp://a").contains("no plain http URL"));
        assert!(error("http://me:pw@a").contains("no plain http URL"));
        assert!(error("http://a?x=1").contains("no plain http URL"));
    }
}
