//! Where a fetch may go: schemes, ports, addresses, and the owner's own exceptions.

use std::net::IpAddr;

use http::HeaderValue;
use matinee_core::address::{Reach, reach};
use url::{Host, Url};

/// What an owner may set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Hosts that are fetched from wherever they are: a name or address, with a port or with the usual ones.
    pub allow_hosts: Vec<String>,
    /// Ports besides 80 and 443.
    pub allow_ports: Vec<u16>,
    /// Certificates of authorities that are trusted besides the public ones, as PEM.
    pub authorities_pem: String,
}

/// Why we do not go there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no address.
    #[error("this is no address that can be fetched")]
    Unreadable,
    /// It is of another kind.
    #[error("addresses that begin with `{0}:` are not fetched")]
    Scheme(String),
    /// It holds a name and a password.
    #[error("the address holds a name or a password")]
    Credentials,
    /// It names an unusual port.
    #[error("port {0} is not fetched from")]
    Port(u16),
    /// Its host is not on the public internet.
    #[error("the host `{host}` has the {} address {address}", .reach.name())]
    Address {
        /// The host.
        host: String,
        /// Its address.
        address: IpAddr,
        /// What lies there.
        reach: Reach,
    },
    /// It leads on and on.
    #[error("the address leads on to others too often")]
    Redirects,
}

/// The rules in a form that is quick to ask.
#[derive(Debug)]
pub(super) struct Rules {
    hosts: Vec<(String, Option<u16>)>,
    ports: Vec<u16>,
}

/// Where one request goes.
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    /// The host is an address already.
    pub(super) literal: Option<IpAddr>,
    pub(super) secure: bool,
    /// The owner allows this host wherever it is.
    pub(super) listed: bool,
}

impl Rules {
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let mut ports = config.allow_ports.clone();
        ports.extend([80, 443]);
        let hosts = config.allow_hosts.iter().map(|entry| listed(entry)).collect::<Result<_, _>>()?;
        Ok(Self { hosts, ports })
    }

    /// Reads an address, and refuses what needs no look at names.
    pub(super) fn parse(&self, text: &str) -> Result<Url, Refusal> {
        let url = Url::parse(text).map_err(|_| Refusal::Unreadable)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        let target = self.target(&url)?;
        if let (Some(address), false) = (target.literal, target.listed) {
            judge(&target.host, &[address])?;
        }
        Ok(url)
    }

    /// The address to which another one leads.
    pub(super) fn follow(&self, from: &Url, location: Option<&HeaderValue>) -> Result<Url, Refusal> {
        let location = location.and_then(|value| value.to_str().ok()).ok_or(Refusal::Unreadable)?;
        let next = from.join(location).map_err(|_| Refusal::Unreadable)?;
        self.parse(next.as_str())
    }

    pub(super) fn target(&self, url: &Url) -> Result<Target, Refusal> {
        let port = url.port_or_known_default().ok_or(Refusal::Unreadable)?;
        let (host, literal) = match url.host().ok_or(Refusal::Unreadable)? {
            Host::Domain(name) => (name.trim_end_matches('.').to_owned(), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        let usual = self.ports.contains(&port);
        let listed = self.hosts.iter().any(|(known, only)| {
            known.eq_ignore_ascii_case(&host) && only.map_or(usual, |only| only == port)
        });
        if !listed && !usual {
            return Err(Refusal::Port(port));
        }
        Ok(Target { host, port, literal, secure: url.scheme() == "https", listed })
    }
}

/// Refuses a host of which any address is not on the public internet: which of them a name gives first can be chosen by
/// whoever owns the name.
pub(super) fn judge(host: &str, addresses: &[IpAddr]) -> Result<(), Refusal> {
    let inside = addresses.iter().map(|address| (*address, reach(*address)));
    match inside.clone().find(|(_, reach)| *reach != Reach::Global) {
        Some((address, reach)) => Err(Refusal::Address { host: host.to_owned(), address, reach }),
        None => Ok(()),
    }
}

/// An entry of the owner: `files.lan`, `files.lan:9000`, `10.0.0.5`, `[fd00::5]:9000`.
fn listed(entry: &str) -> Result<(String, Option<u16>), String> {
    let wrong = || format!("`{entry}` is no host; write for example files.lan or 10.0.0.5:9000");
    let url = Url::parse(&format!("http://{entry}/")).map_err(|_| wrong())?;
    let plain = url.path() == "/" && url.username().is_empty() && url.query().is_none();
    let host = match url.host().filter(|_| plain).ok_or_else(wrong)? {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let port = entry.rsplit_once(':').filter(|(before, _)| !before.contains(':') || before.ends_with(']'));
    Ok((host, port.and_then(|(_, port)| port.parse().ok())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[&str], ports: &[u16]) -> Rules {
        let allow_hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        let config = Config { allow_hosts, allow_ports: ports.to_vec(), authorities_pem: String::new() };
        Rules::new(&config).unwrap()
    }

    #[test]
    fn what_is_not_on_the_public_web_is_refused_in_every_spelling() {
        let rules = rules(&[], &[]);
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://10.0.0.1/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://0/",
            "http://[fd00::8]/",
            "http://[fe80::1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:5ef5:79fd:0:0:80ff:fffe]/",
            "http://224.0.0.1/",
            "http://192.0.2.1/",
            "http://255.255.255.255/",
            "http://１２７.０.０.１/",
            "http://①②⑦.⓪.⓪.①/",
        ] {
            let refused = rules.parse(url);
            assert!(matches!(refused, Err(Refusal::Address { .. })), "{url}: {refused:?}");
        }
    }

    #[test]
    fn only_web_addresses_on_usual_ports_are_read() {
        let rules = rules(&[], &[8443]);
        for (url, wanted) in [
            ("ftp://example.org/a", Err(Refusal::Scheme("ftp".to_owned()))),
            ("gopher://example.org/a", Err(Refusal::Scheme("gopher".to_owned()))),
            ("file:///etc/passwd", Err(Refusal::Scheme("file".to_owned()))),
            ("data:text/plain,a", Err(Refusal::Scheme("data".to_owned()))),
            ("javascript:alert(1)", Err(Refusal::Scheme("javascript".to_owned()))),
            ("http://ann:secret@example.org/", Err(Refusal::Credentials)),
            ("http://ann@example.org/", Err(Refusal::Credentials)),
            ("http://example.org:22/", Err(Refusal::Port(22))),
            ("http://example.org:6379/", Err(Refusal::Port(6379))),
            ("/etc/passwd", Err(Refusal::Unreadable)),
            ("http://", Err(Refusal::Unreadable)),
            ("http://exa mple.org/", Err(Refusal::Unreadable)),
            ("https://example.org/a.mp4", Ok(())),
            ("http://example.org:443/a.mp4", Ok(())),
            ("https://example.org:8443/a.mp4?b#c", Ok(())),
            ("http://8.8.8.8/a.mp4", Ok(())),
        ] {
            assert_eq!(rules.parse(url).map(drop), wanted, "{url}");
        }
    }

    #[test]
    fn an_owner_may_name_hosts_inside() {
        let rules = rules(&["files.lan", "10.0.0.5:9000", "[fd00::5]"], &[]);
        for (url, fine) in [
            ("http://files.lan/a", true),
            ("http://FILES.lan./a", true),
            ("http://files.lan:9000/a", false),
            ("http://10.0.0.5:9000/a", true),
            ("http://10.0.0.5/a", false),
            ("http://10.0.0.6:9000/a", false),
            ("http://[fd00::5]/a", true),
            ("http://[fd00::6]/a", false),
        ] {
            assert_eq!(rules.parse(url).is_ok(), fine, "{url}");
        }
        for wrong in ["", "a b", "http://files.lan", "files.lan/path", "ann@files.lan"] {
            assert!(listed(wrong).is_err(), "{wrong}");
        }
    }
}
