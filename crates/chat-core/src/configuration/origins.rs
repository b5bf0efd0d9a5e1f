//! `Origins`: the allowed values of the header `Origin`.

/// The origins whose pages may connect; empty for all.
///
/// A browser lets any page open a WebSocket to any host, and sends the page's origin. The check prevents another page from
/// connecting as the user who views it. Other clients can send any origin, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Exact(String),
    /// `https://`, one label, and this suffix, which begins with a dot.
    Subdomain(String),
}

impl Origins {
    /// Parses a comma-separated list: origins exactly as browsers send them (`https://chat.example`, without the default
    /// port), and `https://*.example.com`, which stands for one label: `https://a.example.com`, but neither
    /// `https://example.com` nor `https://b.a.example.com`.
    ///
    /// # Errors
    /// If an entry is neither. Entries that no browser sends are refused, too.
    pub fn parse(list: &str) -> Result<Self, InvalidOrigin> {
        if list.trim().is_empty() {
            return Ok(Self::default());
        }
        list.split(',')
            .map(|origin| Origin::parse(origin.trim()).ok_or(InvalidOrigin))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a page of this origin may connect.
    pub fn allow(&self, origin: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|allowed| allowed.covers(origin))
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        if let Some(parent) = text.strip_prefix("https://*.") {
            // `https://*.com` would allow any site.
            let (host, _) = host_and_port(parent, "443")?;
            let has_parent =
                host.contains('.') && !host.split('.').all(|label| label.bytes().all(|b| b.is_ascii_digit()));
            return has_parent.then(|| Self::Subdomain(format!(".{parent}")));
        }
        let (scheme, rest) = text.split_once("://")?;
        let default_port = match scheme {
            "https" => "443",
            "http" => "80",
            _ => return None,
        };
        host_and_port(rest, default_port).map(|_| Self::Exact(text.to_owned()))
    }

    fn covers(&self, origin: &str) -> bool {
        match self {
            Self::Exact(exact) => origin == exact,
            Self::Subdomain(parent) => origin
                .strip_prefix("https://")
                .and_then(|host| host.strip_suffix(parent.as_str()))
                .is_some_and(is_label),
        }
    }
}

/// A host in lower case, as browsers send it, and a port other than the default.
fn host_and_port<'a>(text: &'a str, default_port: &str) -> Option<(&'a str, Option<u16>)> {
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address),
        None => host.split('.').all(is_label),
    };
    let port = match port {
        None => None,
        // As a browser sends it: without a sign and leading zeros.
        Some(text) => Some(text.parse::<u16>().ok().filter(|port| port.to_string() == text && text != default_port)?),
    };
    is_host.then_some((host, port))
}

/// One label of a host name.
fn is_label(label: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(is_letter)
}

/// The text is neither an origin nor a pattern of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is like https://chat.example, or https://*.example.com")]
pub struct InvalidOrigin;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(list: &str, allowed: &[&str], refused: &[&str]) {
        let origins = Origins::parse(list).unwrap();
        for origin in allowed {
            assert!(origins.allow(origin), "{list} allows {origin}");
        }
        for origin in refused {
            assert!(!origins.allow(origin), "{list} refuses {origin}");
        }
    }

    #[test]
    fn an_empty_list_allows_any() {
        for list in ["", "  "] {
            check(list, &["https://chat.example", "null", ""], &[]);
        }
    }

    #[test]
    fn an_exact_origin_is_only_itself() {
        check(
            "https://chat.example, http://localhost:3000",
            &["https://chat.example", "http://localhost:3000"],
            &[
                "",
                "null",
                "http://chat.example",
                "https://chat.example:444",
                "https://chat.example/",
                "https://chat.example.evil.example",
                "https://evil-chat.example",
                "https://a.chat.example",
                "https://CHAT.example",
                "http://localhost",
                "https://localhost:3000",
            ],
        );
        check(
            "http://127.0.0.1:3000,http://[::1]:3000",
            &["http://127.0.0.1:3000", "http://[::1]:3000"],
            &["http://[::1]"],
        );
    }

    #[test]
    fn a_star_is_one_label() {
        check(
            "https://*.example.com",
            &["https://a.example.com", "https://a-1.example.com", "https://xn--bcher-kva.example.com"],
            &[
                "https://example.com",
                "https://.example.com",
                "https://b.a.example.com",
                "http://a.example.com",
                "https://a.example.com:8443",
                "https://a.example.com.evil.example",
                "https://evilexample.com",
                "https://evil.example?.example.com",
                "https://evil.example/.example.com",
                "https://user@a.example.com",
                "https://*.example.com",
                "null",
            ],
        );
        check("https://*.example.com:8443", &["https://a.example.com:8443"], &["https://a.example.com"]);
    }

    #[test]
    fn other_patterns_are_refused() {
        for list in [
            "*",
            "null",
            "https://*",
            "https://*.com",
            "https://*.localhost",
            "https://*.0.0.1",
            "http://*.example.com",
            "*.example.com",
            "*://example.com",
            "https://*example.com",
            "https://a*.example.com",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://example.*",
            "https://.example.com",
            "https://example..com",
            "https://example.com.",
            "https://example.com/",
            "https://example.com/chat",
            "https://example.com?a",
            "https://user@example.com",
            "https://Example.com",
            "https://bücher.example",
            "https://example.com:443",
            "http://example.com:80",
            "https://example.com:",
            "https://example.com:0443",
            "https://example.com:+1",
            "https://example.com:65536",
            "https://example.com:*",
            "https://[::0001]",
            "https://",
            "example.com",
            "ftp://example.com",
            "https://a.example https://b.example",
            "https://a.example;https://b.example",
            "https://a.example,",
            ",https://a.example",
            "https://a.example,,https://b.example",
        ] {
            assert_eq!(Origins::parse(list), Err(InvalidOrigin), "{list}");
        }
    }

    proptest! {
        #![proptest_config(support::strategies::cases(2_000))]

        /// For any list and any header: an allowed origin is on the list, or has one label before the suffix of a pattern.
        #[test]
        fn an_allowed_origin_is_on_the_list(
            list in support::strategies::mutated(vec!["https://a.example.com, https://*.example.com:8443,http://[::1]:3000".to_owned()]),
            origin in support::strategies::mutated(
                ["https://a.example.com", "https://b.example.com:8443", "http://[::1]:3000"].map(str::to_owned).into(),
            ),
        ) {
            let Ok(origins) = Origins::parse(&list) else { return Ok(()) };
            if !list.trim().is_empty() && origins.allow(&origin) {
                let is_listed = list.split(',').map(str::trim).any(|allowed| match allowed.split_once("//*.") {
                    None => allowed == origin,
                    Some((scheme, end)) => origin
                        .strip_prefix(&format!("{scheme}//"))
                        .and_then(|host| host.split_once('.'))
                        .is_some_and(|(label, rest)| !label.is_empty() && rest == end),
                });
                prop_assert!(is_listed, "{list:?} allows {origin:?}");
            }
        }
    }
}
