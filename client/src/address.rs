//! The load balancer's address as a user writes it. PURE.

use reqwest::Url;

/// Where a balancer is: `http`, a host, a port, perhaps a path before its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    url: Url,
    assumed_http: bool,
}

/// Why a text is no address. Each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing was written.
    #[error(
        "the load balancer's address is empty; write it as http://HOST:PORT, such as http://localhost:4999"
    )]
    Empty,
    /// A scheme that this program does not speak.
    #[error("`{address}` begins with {scheme}://, which this client does not speak; use http://")]
    Scheme {
        /// As written.
        address: String,
        /// Its scheme.
        scheme: String,
    },
    /// No URL.
    #[error(
        "`{address}` is no address: {problem}; write it as http://HOST:PORT, such as http://localhost:4999"
    )]
    Malformed {
        /// As written.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Address {
    /// Reads `http://HOST:PORT`; a bare `HOST:PORT` is taken for http, which [`Address::note`] says.
    ///
    /// # Errors
    /// When it is no address of a balancer; see [`AddressError`].
    pub fn parse(written: &str) -> Result<Self, AddressError> {
        let address = written.trim();
        if address.is_empty() {
            return Err(AddressError::Empty);
        }
        let shown = || crate::printable::printable(address).chars().take(200).collect::<String>();
        let malformed =
            |problem: &str| AddressError::Malformed { address: shown(), problem: problem.to_owned() };
        let assumed_http = match address.split_once("://") {
            None => true,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => false,
            Some(("", _)) => return Err(malformed("nothing stands before ://")),
            Some((scheme, _)) => {
                let scheme = crate::printable::printable(scheme).into_owned();
                return Err(AddressError::Scheme { address: shown(), scheme });
            }
        };
        if address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(malformed("it holds a space"));
        }
        let full = if assumed_http { format!("http://{address}") } else { address.to_owned() };
        let mut url = Url::parse(&full).map_err(|error| malformed(&error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(malformed("it holds a `?` or `#`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(malformed("it holds a user name"));
        }
        if url.port() == Some(0) {
            return Err(malformed("no server has port 0"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        // Who pastes the address of the post itself means the balancer.
        url.set_path(path.strip_suffix("/sentence").unwrap_or(&path));
        Ok(Self { url, assumed_http })
    }

    /// The URL of a path of the balancer, such as `/fleet`.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// What was assumed in reading it, for the user to see.
    pub fn note(&self) -> Option<String> {
        self.assumed_http.then(|| format!("no scheme given; using {self}"))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: &str) {
        let told = match Address::parse(written) {
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(told.starts_with(expected), "{written:?} gave {told:?}, not {expected:?}");
    }

    #[test]
    fn what_a_user_writes_is_understood() {
        check("http://localhost:4999", "http://localhost:4999");
        check(" http://10.0.0.7:4999/ ", "http://10.0.0.7:4999");
        check("localhost:4999", "http://localhost:4999");
        check("127.0.0.1:4999", "http://127.0.0.1:4999");
        check("[::1]:4999", "http://[::1]:4999");
        check("balancer.example", "http://balancer.example");
        check("HTTP://host:1/sentence", "http://host:1");
        check("http://host/balanza/", "http://host/balanza");
    }

    #[test]
    fn only_an_assumption_is_noted() {
        assert_eq!(Address::parse("http://a:1").unwrap().note(), None);
        assert_eq!(Address::parse("a:1").unwrap().note().unwrap(), "no scheme given; using http://a:1");
    }

    #[test]
    fn nonsense_names_its_problem() {
        check("", "the load balancer's address is empty; write it as http://HOST:PORT");
        check(
            "https://a:1",
            "`https://a:1` begins with https://, which this client does not speak; use http://",
        );
        check("ftp://a", "`ftp://a` begins with ftp://");
        check("://a", "`://a` is no address: nothing stands before ://");
        check("http://", "`http://` is no address: empty host");
        check("local host:4999", "`local host:4999` is no address: it holds a space");
        check("host:port", "`host:port` is no address: invalid port number");
        check("host:99999", "`host:99999` is no address: invalid port number");
        check("host:0", "`host:0` is no address: no server has port 0");
        check("http://a:1/?x", "`http://a:1/?x` is no address: it holds a `?`");
        check("http://u:p@a:1", "`http://u:p@a:1` is no address: it holds a user name");
        check("http://\u{1b}[31m", "`http://\u{fffd}[31m` is no address");
    }

    #[test]
    fn paths_are_put_behind_the_given_one() {
        assert_eq!(Address::parse("a:1/x/").unwrap().join("/fleet").as_str(), "http://a:1/x/fleet");
        assert_eq!(Address::parse("a:1").unwrap().join("/fleet").as_str(), "http://a:1/fleet");
    }
}
