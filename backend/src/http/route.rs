//! The name of a request's route, for metrics and for the count of requests under way. PURE. Absent: the routing.

/// A route as metrics name it: a closed set, so that no client can make their output grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteName {
    /// `/sentence`
    Sentence,
    /// `/sentences`
    Sentences,
    /// `/sentences/held`, `/sentences/ids` or `/sentences/retract`
    Copies,
    /// `/fence`
    Fence,
    /// `/sentence/{id}`
    SentenceById,
    /// `/usage`
    Usage,
    /// `/report`
    Report,
    /// `/report/stream`
    ReportStream,
    /// Everything that tells of the node's health and contract.
    Health,
    /// What is none of these.
    Other,
}

impl RouteName {
    /// The route of a request's path.
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/sentence" => Self::Sentence,
            "/sentences" => Self::Sentences,
            "/sentences/held" | "/sentences/ids" | "/sentences/retract" => Self::Copies,
            "/fence" => Self::Fence,
            "/usage" => Self::Usage,
            "/report" => Self::Report,
            "/report/stream" => Self::ReportStream,
            "/metrics" | "/livez" | "/readyz" | "/openapi.json" => Self::Health,
            _ if path.starts_with("/sentence/") => Self::SentenceById,
            _ => Self::Other,
        }
    }

    /// The route in a word.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Sentence => "/sentence",
            Self::Sentences => "/sentences",
            Self::Copies => "copies",
            Self::Fence => "/fence",
            Self::SentenceById => "/sentence/{id}",
            Self::Usage => "/usage",
            Self::Report => "/report",
            Self::ReportStream => "/report/stream",
            Self::Health => "health",
            Self::Other => "other",
        }
    }

    /// Whether requests to it wait for the store. The others are answered at once.
    pub(super) fn asks_the_store(self) -> bool {
        matches!(self, Self::Sentence | Self::Sentences | Self::SentenceById | Self::Copies | Self::Fence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_path_has_its_name() {
        let label = |path| RouteName::of(path).label();
        assert_eq!(label("/sentence/7"), "/sentence/{id}");
        assert_eq!(label("/favicon.ico"), "other");
        for (path, _) in super::super::ROUTES {
            let expected = match path {
                "/metrics" | "/livez" | "/readyz" | "/openapi.json" => "health",
                "/sentences/held" | "/sentences/ids" | "/sentences/retract" => "copies",
                path => path,
            };
            assert_eq!(label(path), expected);
        }
    }

    proptest! {
        #[test]
        fn only_the_paths_of_sentences_ask_the_store(
            path in prop_oneof!["/[a-z/{}0-9]{0,20}", "/sentences/(held|ids|retract|other)", "/fence"],
        ) {
            let is_sentence = path == "/sentence" || path == "/sentences" || path.starts_with("/sentence/");
            let copies = ["/sentences/held", "/sentences/ids", "/sentences/retract", "/fence"];
            let is_sentence = is_sentence || copies.contains(&path.as_str());
            prop_assert_eq!(RouteName::of(&path).asks_the_store(), is_sentence);
        }
    }
}
