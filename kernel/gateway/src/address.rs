//! Who the client is when proxies stand in between.
//!
//! Invariant: nothing a client writes is believed. A forwarding header counts only as far as trusted proxies wrote it:
//! the walk goes from the right, from the proxy that is connected to us, and ends at the first address that is not a
//! trusted proxy, because everything left of it was written by that address. One kind of header is read, the one the
//! operator's proxies write: a proxy appends to one kind and lets the other through as the client sent it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName, header, uri::Authority};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The kind of header that the proxies write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` of RFC 7239.
    Rfc7239,
}

/// The proxies whose headers are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    nets: Vec<IpNet>,
    forwarding: Forwarding,
}

/// How the client addressed us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    pub https: bool,
    pub host: Option<&'a str>,
}

impl TrustedProxies {
    pub fn new(nets: Vec<IpNet>, forwarding: Forwarding) -> Self {
        Self { nets, forwarding }
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(&ip))
    }

    /// The client's address: the peer's, unless the peer is a trusted proxy that says for whom it asks.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        match self.forwarding {
            Forwarding::XForwarded => {
                self.walk(peer, from_right(headers, &X_FORWARDED_FOR, b',').map(|entry| address(entry?))).0
            }
            Forwarding::Rfc7239 => self.walk_forwarded(peer, headers).0,
        }
    }

    /// How the client addressed us. `over_tls` is what the listener saw; only a trusted proxy can say otherwise.
    pub fn origin<'a>(&self, peer: IpAddr, over_tls: bool, headers: &'a HeaderMap) -> Origin<'a> {
        let peer = peer.to_canonical();
        let direct =
            Origin { https: over_tls, host: headers.get(header::HOST).and_then(|value| host(value.to_str().ok()?)) };
        if !self.trusts(peer) {
            return direct;
        }
        let (proto, forwarded_host) = match self.forwarding {
            // The rightmost value is the nearest proxy's own.
            Forwarding::XForwarded => (
                from_right(headers, &X_FORWARDED_PROTO, b',').next().flatten(),
                from_right(headers, &X_FORWARDED_HOST, b',').next().flatten(),
            ),
            Forwarding::Rfc7239 => {
                let element = self.walk_forwarded(peer, headers).1;
                (
                    element.and_then(|element| parameter(element, "proto")),
                    element.and_then(|element| parameter(element, "host")),
                )
            }
        };
        let https = match proto {
            Some(proto) if proto.eq_ignore_ascii_case("https") => true,
            Some(proto) if proto.eq_ignore_ascii_case("http") => false,
            _ => direct.https,
        };
        Origin { https, host: forwarded_host.and_then(host).or(direct.host) }
    }

    fn walk_forwarded<'a>(&self, peer: IpAddr, headers: &'a HeaderMap) -> (IpAddr, Option<&'a str>) {
        let mut taken = None;
        let (client, steps) = self.walk(
            peer,
            from_right(headers, &header::FORWARDED, b',').map(|element| address(parameter(element?, "for")?)),
        );
        if steps > 0 {
            taken = from_right(headers, &header::FORWARDED, b',').nth(steps - 1).flatten();
        }
        (client, taken)
    }

    /// Walks left while proxies are trusted. A malformed entry ends the walk at the last good address. Also says how
    /// many entries were believed.
    fn walk(&self, peer: IpAddr, entries: impl Iterator<Item = Option<IpAddr>>) -> (IpAddr, usize) {
        let mut client = peer;
        let mut steps = 0;
        for entry in entries {
            let Some(ip) = entry else { break };
            client = ip;
            steps += 1;
            if !self.trusts(ip) {
                break;
            }
        }
        (client, steps)
    }
}

/// The elements of a list header from the last to the first, over all its lines. `None` is an element that is no text.
fn from_right<'a>(headers: &'a HeaderMap, name: &HeaderName, separator: u8) -> impl Iterator<Item = Option<&'a str>> {
    headers.get_all(name).iter().rev().flat_map(move |line| {
        line.as_bytes()
            .rsplit(move |byte| *byte == separator)
            .map(|element| Some(std::str::from_utf8(element).ok()?.trim()))
    })
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:443`.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let ip =
        text.parse().ok().or_else(bracketed).or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(ip.to_canonical())
}

/// A parameter of an element of `Forwarded`, without its quotes. Quoted pairs occur in no address, scheme or host, so
/// a value with a backslash is left as it is and fails to parse.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| {
            let value = value.trim();
            value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
        })
    })
}

/// A host with an optional port and nothing else that could change the meaning of a link built from it.
fn host(text: &str) -> Option<&str> {
    let authority: Authority = text.parse().ok()?;
    (!authority.host().is_empty() && !text.contains('@')).then_some(text)
}

/// The key under which this address is limited. An IPv6 client owns a /64, so all of it is one key; distinct IPv4
/// addresses and distinct /64s never share one.
pub fn limit_key(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        // The range of the key is that of ::ffff:0:0/32 read as a prefix, which is not assigned to anybody.
        IpAddr::V4(ip) => 0x0000_ffff_0000_0000 | u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn proxies(forwarding: Forwarding) -> TrustedProxies {
        let nets = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
        TrustedProxies::new(nets.to_vec(), forwarding)
    }

    fn headers(lines: &[(&HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| ((*name).clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn xff(peer: &str, lines: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for line in lines {
            map.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        proxies(Forwarding::XForwarded).client(peer.parse().unwrap(), &map).to_string()
    }

    fn forwarded(peer: &str, line: &str) -> String {
        let map = headers(&[(&header::FORWARDED, line)]);
        proxies(Forwarding::Rfc7239).client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn a_direct_client_cannot_name_another_address() {
        assert_eq!(xff("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(xff("::ffff:203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(forwarded("203.0.113.9", "for=198.51.100.1"), "203.0.113.9");
        let nobody = TrustedProxies::default();
        assert_eq!(
            nobody.client(PROXY.parse().unwrap(), &headers(&[(&X_FORWARDED_FOR, "1.2.3.4")])).to_string(),
            PROXY
        );
    }

    #[test]
    fn what_the_client_put_in_front_is_not_believed() {
        assert_eq!(xff(PROXY, &["198.51.100.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(xff(PROXY, &["10.9.9.9, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(xff(PROXY, &["198.51.100.1", "203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(forwarded(PROXY, "for=198.51.100.1, for=203.0.113.9;proto=https, for=10.0.0.2"), "203.0.113.9");
    }

    #[test]
    fn chains_of_trusted_proxies_are_walked_through() {
        assert_eq!(xff(PROXY, &["203.0.113.9, 10.0.0.3, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(xff(PROXY, &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(xff("fd00::1", &["2001:db8::5, fd00::2"]), "2001:db8::5");
        assert_eq!(xff(PROXY, &[]), PROXY);
    }

    #[test]
    fn malformed_entries_end_the_walk_at_the_last_good_address() {
        assert_eq!(xff(PROXY, &["203.0.113.9, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(xff(PROXY, &["203.0.113.9, "]), PROXY);
        assert_eq!(xff(PROXY, &["203.0.113.9, \u{ff}"]), PROXY);
        assert_eq!(xff(PROXY, &["1.2.3.4.5"]), PROXY);
        assert_eq!(forwarded(PROXY, "for=203.0.113.9, for=_hidden, for=10.0.0.2"), "10.0.0.2");
        assert_eq!(forwarded(PROXY, "for=unknown"), PROXY);
        assert_eq!(forwarded(PROXY, "by=203.0.113.9"), PROXY);
    }

    #[test]
    fn ports_brackets_and_quotes_are_understood() {
        assert_eq!(xff(PROXY, &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(xff(PROXY, &["[2001:db8::5]:4711"]), "2001:db8::5");
        assert_eq!(xff(PROXY, &["[2001:db8::5]"]), "2001:db8::5");
        assert_eq!(xff(PROXY, &["::ffff:203.0.113.9"]), "203.0.113.9");
        assert_eq!(forwarded(PROXY, r#"proto=https; For="[2001:db8::5]:4711""#), "2001:db8::5");
    }

    #[test]
    fn a_quoted_comma_cannot_smuggle_an_element_in() {
        // Split at every comma, the quoted string falls into pieces that are no addresses, so the walk ends.
        assert_eq!(forwarded(PROXY, r#"for="203.0.113.9, for=198.51.100.1""#), PROXY);
    }

    #[test]
    fn only_the_configured_kind_is_read() {
        let map = headers(&[(&X_FORWARDED_FOR, "203.0.113.9"), (&header::FORWARDED, "for=198.51.100.1")]);
        let peer = PROXY.parse().unwrap();
        assert_eq!(proxies(Forwarding::XForwarded).client(peer, &map).to_string(), "203.0.113.9");
        assert_eq!(proxies(Forwarding::Rfc7239).client(peer, &map).to_string(), "198.51.100.1");
    }

    #[test]
    fn scheme_and_host_come_from_trusted_proxies_only() {
        let map = headers(&[
            (&X_FORWARDED_PROTO, "https"),
            (&X_FORWARDED_HOST, "shop.example"),
            (&header::HOST, "inner:8080"),
        ]);
        let proxies = proxies(Forwarding::XForwarded);
        let behind = proxies.origin(PROXY.parse().unwrap(), false, &map);
        assert_eq!(behind, Origin { https: true, host: Some("shop.example") });
        let direct = proxies.origin("203.0.113.9".parse().unwrap(), false, &map);
        assert_eq!(direct, Origin { https: false, host: Some("inner:8080") });
    }

    #[test]
    fn the_nearest_proxys_scheme_wins_and_hosts_are_checked() {
        let peer = PROXY.parse().unwrap();
        let proxies = proxies(Forwarding::XForwarded);
        let map = headers(&[
            (&X_FORWARDED_PROTO, "https, http"),
            (&X_FORWARDED_HOST, "user@evil.example"),
            (&header::HOST, "inner"),
        ]);
        assert_eq!(proxies.origin(peer, true, &map), Origin { https: false, host: Some("inner") });
        let map = headers(&[(&X_FORWARDED_PROTO, "gopher"), (&X_FORWARDED_HOST, "a/b?c"), (&header::HOST, "inner")]);
        assert_eq!(proxies.origin(peer, true, &map), Origin { https: true, host: Some("inner") });
    }

    #[test]
    fn forwarded_tells_scheme_and_host_of_the_clients_hop() {
        let map = headers(&[(
            &header::FORWARDED,
            r#"for=1.1.1.1;host=evil.example, for=203.0.113.9;proto=https;host="shop.example", for=10.0.0.2;proto=http;host=inner"#,
        )]);
        let origin = proxies(Forwarding::Rfc7239).origin(PROXY.parse().unwrap(), false, &map);
        assert_eq!(origin, Origin { https: true, host: Some("shop.example") });
    }

    #[test]
    fn an_ipv6_network_is_one_key_and_networks_differ() {
        let key = |text: &str| limit_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("203.0.113.9"), key("203.0.113.10"));
        assert_eq!(key("203.0.113.9"), key("::ffff:203.0.113.9"));
    }

    proptest! {
        /// Whatever a client writes into the header, the proxy's own entry decides.
        #[test]
        fn no_prefix_changes_the_client(prefix in "[ -~]{0,60}", kind in 0..2) {
            let peer = PROXY.parse().unwrap();
            let (name, entry, forwarding) = match kind {
                0 => (X_FORWARDED_FOR, "203.0.113.9", Forwarding::XForwarded),
                _ => (header::FORWARDED, "for=203.0.113.9", Forwarding::Rfc7239),
            };
            let map = headers(&[(&name, &format!("{prefix}, {entry}"))]);
            prop_assert_eq!(proxies(forwarding).client(peer, &map).to_string(), "203.0.113.9");
        }
    }
}
