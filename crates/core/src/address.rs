//! Addresses of the internet: which of them a fetch on somebody's behalf may reach.
//!
//! Only global unicast is reached. An address that carries an IPv4 address inside (mapped, 6to4, NAT64, Teredo) is
//! judged by that one, because that is where its packets would end.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What lies behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// A host of the public internet.
    Global,
    /// "This host" or "this network".
    Unspecified,
    /// The machine itself.
    Loopback,
    /// A network of an owner: home, company, container.
    Private,
    /// The cable itself; clouds serve their secrets there.
    LinkLocal,
    /// The network of a provider behind a shared address.
    Shared,
    /// Examples in texts.
    Documentation,
    /// Many hosts at once.
    Multicast,
    /// Kept for something else.
    Reserved,
}

impl Reach {
    /// The word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Shared => "shared",
            Self::Documentation => "documentation",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        }
    }
}

/// What lies behind this address.
pub const fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => match inner(address) {
            Some(inner) => reach_v4(inner),
            None => reach_v6(address),
        },
    }
}

const fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [0, ..] => Reach::Unspecified,
        [127, ..] => Reach::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Reach::Private,
        [169, 254, ..] => Reach::LinkLocal,
        [100, 64..=127, ..] => Reach::Shared,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Documentation,
        [224..=239, ..] => Reach::Multicast,
        // Protocol assignments, the old 6to4 relay, benchmarks, the future and broadcast.
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [240..=255, ..] => Reach::Reserved,
        _ => Reach::Global,
    }
}

const fn reach_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        [0xff00..=0xffff, ..] => Reach::Multicast,
        [0xfe80..=0xfebf, ..] => Reach::LinkLocal,
        // Unique local, the old site-local, and the translators of one's own network.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Reach::Private,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Reach::Documentation,
        // Protocol assignments lie inside global unicast.
        [0x2001, 0..=0x01ff, ..] => Reach::Reserved,
        [0x2000..=0x3fff, ..] => Reach::Global,
        _ => Reach::Reserved,
    }
}

/// The IPv4 address inside an IPv6 address, where the packets go to that one.
const fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // Unspecified and loopback are not the old "compatible" form.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(joined(high, low)),
        // Teredo hides the address of its client by turning every bit.
        [0x2001, 0, _, _, _, _, high, low] => Some(joined(!high, !low)),
        _ => None,
    }
}

const fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits((high as u32) << 16 | low as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &[(Reach, &[&str])] = &[
        (
            Reach::Global,
            &[
                "1.1.1.1",
                "8.8.8.8",
                "100.63.255.255",
                "100.128.0.0",
                "172.15.0.1",
                "172.32.0.1",
                "169.253.0.1",
                "192.0.1.1",
                "198.17.1.1",
                "198.20.0.1",
                "223.255.255.255",
                "128.0.0.1",
                "11.0.0.1",
                "9.255.255.255",
                "2606:4700::1111",
                "2a00:1450:4001::1",
                "::ffff:8.8.8.8",
                "64:ff9b::8.8.8.8",
                "2002:808:808::1",
                "2001:0:5ef5:79fd:0:0:f7f7:f7f7",
                "2001:200::1",
                "2001:4860::1",
            ],
        ),
        (Reach::Unspecified, &["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"]),
        (
            Reach::Loopback,
            &[
                "127.0.0.1",
                "127.255.255.254",
                "::1",
                "::ffff:127.0.0.1",
                "::127.0.0.1",
                "64:ff9b::127.0.0.1",
                "2002:7f00:1::1",
                "2001:0:5ef5:79fd:0:0:80ff:fffe",
                "::ffff:0:127.0.0.1",
            ],
        ),
        (
            Reach::Private,
            &[
                "10.0.0.1",
                "10.255.255.255",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.0.1",
                "fc00::1",
                "fd00::8",
                "fd12:3456:789a::1",
                "fec0::1",
                "::ffff:10.0.0.1",
                "64:ff9b::192.168.0.1",
                "64:ff9b:1::8.8.8.8",
                "2002:0a00:0001::",
                "2002:c0a8:0101::1",
                "2001:0:0:0:0:0:f5ff:fffe",
            ],
        ),
        (
            Reach::LinkLocal,
            &[
                "169.254.169.254",
                "169.254.0.1",
                "fe80::1",
                "febf::1",
                "::ffff:169.254.169.254",
                "2002:a9fe:a9fe::",
            ],
        ),
        (Reach::Shared, &["100.64.0.1", "100.127.255.255", "::ffff:100.100.100.200"]),
        (
            Reach::Documentation,
            &["192.0.2.1", "198.51.100.7", "203.0.113.9", "2001:db8::1", "3fff::1", "3fff:fff::1"],
        ),
        (Reach::Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"]),
        (
            Reach::Reserved,
            &[
                "192.0.0.8",
                "192.88.99.1",
                "198.18.0.1",
                "198.19.255.255",
                "240.0.0.1",
                "255.255.255.255",
                "100::1",
                "2001:2::1",
                "2001:10::1",
                "2001:20::1",
                "5f00::1",
                "4000::1",
                "e000::1",
            ],
        ),
    ];

    #[test]
    fn only_what_lies_on_the_public_internet_is_global() {
        for (wanted, addresses) in TABLE {
            for address in *addresses {
                assert_eq!(reach(address.parse().unwrap()), *wanted, "{address}");
            }
        }
    }

    proptest! {
        #[test]
        fn an_address_inside_another_is_judged_like_itself(bits: u32) {
            let plain = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = plain.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let wrapped = [
                plain.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 1, 2, 3, 4, 5),
                Ipv6Addr::new(0x2001, 0, 9, 9, 9, 9, !high, !low),
            ];
            for address in wrapped {
                prop_assert_eq!(reach(IpAddr::V6(address)), reach(IpAddr::V4(plain)), "{}", address);
            }
        }
    }
}
