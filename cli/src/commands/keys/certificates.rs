//! Certificates: an authority of one's own, and the server's certificate under it.

use std::net::IpAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tasklane_runtime::contract::{code, time};

use super::failed;
use super::files::Folder;
use crate::error::CliError;

/// Years until the authority has to be replaced everywhere, and until the server's certificate is renewed.
const YEARS: (i32, i32) = (10, 2);

/// Writes what is missing; with `renew` a new certificate of the server in any case, for these hosts.
pub fn write(folder: &Folder, hosts: &[String], renew: bool) -> Result<(), CliError> {
    let year = this_year();
    let authority = authority(folder, year)?;
    if folder.read("server.crt")?.is_some() && folder.read("server.key")?.is_some() && !renew {
        return Ok(());
    }
    let wrong = |e: rcgen::Error| CliError::usage(code::CONFIG, format!("--host: {e}"));
    let key = KeyPair::generate().map_err(wrong)?;
    let mut params = CertificateParams::new(hosts.to_vec()).map_err(wrong)?;
    params.distinguished_name = name("Tasklane NATS");
    params.not_before = date_time_ymd(year - 1, 1, 1);
    params.not_after = date_time_ymd(year + YEARS.1, 12, 31);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Servers of a cluster are each other's clients.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &authority).map_err(wrong)?;
    folder.write("server.key", &key.serialize_pem(), "the server's key")?;
    let until = format!("the server's certificate, until {}-12-31, for {}", year + YEARS.1, listed(hosts));
    folder.write("server.crt", &certificate.pem(), &until)
}

fn listed(hosts: &[String]) -> String {
    hosts
        .iter()
        .map(|host| match host.parse::<IpAddr>() {
            Ok(ip) => ip.to_string(),
            Err(_) => host.clone(),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// The authority: read, or made where there is none. Its certificate is a function of its key and the years in it, so
/// that the key alone is needed to sign.
fn authority(folder: &Folder, year: i32) -> Result<Issuer<'static, KeyPair>, CliError> {
    let wrong = |e: rcgen::Error| failed(Path::new("ca.key"), &e);
    let key = match folder.read("ca.key")? {
        Some(pem) => KeyPair::from_pem(&pem).map_err(wrong)?,
        None => {
            let key = KeyPair::generate().map_err(wrong)?;
            let certificate = params(year).self_signed(&key).map_err(wrong)?;
            folder.write(
                "ca.key",
                &key.serialize_pem(),
                "the authority's key: needed to renew, by nobody else",
            )?;
            let until = format!("the authority, until {}-12-31: clients trust it", year + YEARS.0);
            folder.write("ca.crt", &certificate.pem(), &until)?;
            key
        }
    };
    Ok(Issuer::new(params(year), key))
}

fn params(year: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Tasklane authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(year - 1, 1, 1);
    params.not_after = date_time_ymd(year + YEARS.0, 12, 31);
    params
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// The year of now, in UTC.
fn this_year() -> i32 {
    let now = time::to_rfc3339(time::now_us()).unwrap_or_default();
    now.get(..4).and_then(|year| year.parse().ok()).unwrap_or(2026)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_stays_and_the_server_is_renewed_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        write(&folder, &hosts, false).unwrap();
        let files =
            || ["ca.crt", "ca.key", "server.crt", "server.key"].map(|f| folder.read(f).unwrap().unwrap());
        let first = files();
        write(&folder, &hosts, false).unwrap();
        assert_eq!(files(), first);
        write(&folder, &hosts, true).unwrap();
        let renewed = files();
        assert_eq!(renewed[..2], first[..2]);
        assert!(renewed[2] != first[2] && renewed[3] != first[3]);
        assert!(write(&folder, &["ü x".to_owned()], true).is_err());
    }
}
