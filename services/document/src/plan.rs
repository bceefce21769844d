//! Which sources a task may name: pure decisions, no I/O.
//!
//! A task comes from anybody who may publish, so a source is hostile until shown otherwise: a file must lie under a
//! configured root, a web address must be public (server-side request forgery), at every redirect again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};

use reqwest::Url;

use crate::error::DocError;

/// Where a document comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An object of an object store.
    Object {
        /// The bucket.
        bucket: String,
        /// The object's name; it may contain slashes.
        name: String,
    },
    /// A file of this machine.
    File(PathBuf),
    /// A web address.
    Web(Url),
}

/// Reads a source as a task names it.
///
/// # Errors
/// `SourceInvalid` with what is wrong.
pub fn parse(source: &str) -> Result<Source, DocError> {
    let invalid =
        |reason: &str| DocError::SourceInvalid { source_name: shown(source), reason: reason.into() };
    if source.len() > 4096 || source.contains(char::is_control) {
        return Err(invalid("a source has at most 4096 characters, none of them a control character"));
    }
    if let Some(rest) = source.strip_prefix("obj://") {
        return match rest.split_once('/') {
            Some((bucket, name)) if !bucket.is_empty() && !name.is_empty() => {
                Ok(Source::Object { bucket: bucket.to_owned(), name: name.to_owned() })
            }
            _ => Err(invalid("an object has a bucket and a name")),
        };
    }
    let url = Url::parse(source).map_err(|error| invalid(&format!("not an address ({error})")))?;
    match url.scheme() {
        "file" => {
            // Url has already percent-decoded nothing and resolved `..`; to_file_path decodes.
            let path = url.to_file_path().map_err(|()| invalid("a file has an absolute path and no host"))?;
            Ok(Source::File(path))
        }
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            Err(invalid("credentials do not belong into an address"))
        }
        "http" | "https" => Ok(Source::Web(url)),
        other => Err(invalid(&format!("scheme `{other}` is not known"))),
    }
}

/// A source as it may stand in messages and logs: without credentials and query, and not endless.
pub fn shown(source: &str) -> String {
    let plain = match Url::parse(source) {
        Ok(mut url) if !url.cannot_be_a_base() => {
            url.set_query(None);
            let open = url.password().is_some() || !url.username().is_empty();
            // Credentials that cannot be taken out take the rest with them.
            let closed = !open || (url.set_username("").is_ok() && url.set_password(None).is_ok());
            if closed { url.to_string() } else { format!("{}:", url.scheme()) }
        }
        _ => source.to_owned(),
    };
    plain.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

/// Whether `path` lies under one of `roots` by its components; `..` never does. Links are not looked at: the caller
/// asks again with the real path of what it opened.
pub fn under_roots(path: &Path, roots: &[PathBuf]) -> bool {
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    plain && path.is_absolute() && roots.iter().any(|root| path.starts_with(root) && path != root)
}

/// The address a URL names itself, where its host is no name.
pub fn literal_address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// A block of addresses, `10.1.0.0/16` or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u32,
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().map_err(|error| format!("`{text}`: {error}"))?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|error| format!("`{text}`: {error}"))?;
        if prefix > width { Err(format!("`{text}`: at most /{width}")) } else { Ok(Self { base, prefix }) }
    }
}

impl Network {
    /// Whether `address` lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.base, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits(), 128),
            _ => return false,
        };
        let free = width - self.prefix;
        free == 128 || ours >> free == theirs >> free
    }
}

/// Whether a connection to `address` may be opened: it is public, or in a block that the operator allows.
pub fn may_connect(address: IpAddr, allowed: &[Network]) -> bool {
    is_public(address) || allowed.iter().any(|network| network.contains(address))
}

/// Whether an address is globally reachable (IANA special-purpose address registries, RFC 6890 and its updates).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local() // also 169.254.169.254, where clouds keep their metadata
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // shared address space of carriers, RFC 6598
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99) // 6to4 relays, RFC 7526
        || (a == 198 && (b == 18 || b == 19)) // benchmarks, RFC 2544
        || (a, b, c) == (168, 63, 129); // 168.63.129.16 is public by number, and Azure's host by use
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    // Ways to write an IPv4 address: the translation prefix (RFC 6052) and 6to4 (RFC 3056).
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(v4(g, h));
    }
    if a == 0x2002 {
        return is_public_v4(v4(b, c));
    }
    // Only 2000::/3 is given out; in it, what serves protocols and documentation is not reachable.
    let special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || (a == 0x3fff && b < 0x1000);
    (0x2000..0x4000).contains(&a) && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_told_in_every_spelling() {
        let forbidden = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "168.63.129.16",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
            "100::1",
        ];
        for text in forbidden {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "8.8.8.8", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn networks_hold_what_lies_in_them() {
        let network: Network = "10.1.0.0/16".parse().unwrap();
        assert!(network.contains("10.1.255.1".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        assert!(!network.contains("::1".parse().unwrap()));
        let single: Network = "::1".parse().unwrap();
        assert!(single.contains("::1".parse().unwrap()) && !single.contains("::2".parse().unwrap()));
        assert!("::/0".parse::<Network>().unwrap().contains("fe80::1".parse().unwrap()));
        assert!("10.0.0.0/33".parse::<Network>().is_err());
    }

    #[test]
    fn sources_are_read_and_refused() {
        let object = Source::Object { bucket: "documents".into(), name: "a/b.pdf".into() };
        assert_eq!(parse("obj://documents/a/b.pdf"), Ok(object));
        assert_eq!(parse("file:///srv/a%20b.pdf"), Ok(Source::File("/srv/a b.pdf".into())));
        assert!(matches!(parse("https://example.com/x?y=1"), Ok(Source::Web(_))));
        for bad in [
            "",
            "x.pdf",
            "obj://documents",
            "ftp://a/b",
            "https://user:pw@a/b",
            "file://host/x",
            "gopher://a",
        ] {
            assert_eq!(parse(bad).unwrap_err().code(), "TL2124", "{bad}");
        }
        assert!(!shown("https://user:secret@a.b/c?token=secret").contains("secret"));
    }

    #[test]
    fn odd_spellings_of_an_address_are_still_that_address() {
        for text in
            ["http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://[::ffff:127.0.0.1]/"]
        {
            let Ok(Source::Web(url)) = parse(text) else { panic!("{text}") };
            assert!(!is_public(literal_address(&url).unwrap()), "{text}");
        }
    }

    #[test]
    fn only_paths_under_a_root_are_allowed() {
        let roots = [PathBuf::from("/srv/docs")];
        assert!(under_roots(Path::new("/srv/docs/a/b.pdf"), &roots));
        for bad in ["/srv/docs", "/srv/docs2/a", "/srv/docs/../x", "srv/docs/a", "/etc/passwd"] {
            assert!(!under_roots(Path::new(bad), &roots), "{bad}");
        }
        assert!(!under_roots(Path::new("/srv/docs/a"), &[]));
    }
}
