//! Where a provider may send the browser back to with its code: pages under the platform's public address, and programs on
//! the person's own machine. Anywhere else the code would be a gift to a stranger.

use std::net::IpAddr;

use url::{Host, Url};

const MOST: usize = 2000;

/// Says what is wrong with an address, if anything is.
pub fn refusal(public_url: &str, redirect_uri: &str) -> Option<&'static str> {
    const ELSEWHERE: &str = "an address under the platform's public address, or on this machine: http://127.0.0.1, http://[::1] or http://localhost";
    // Programs disagree on what these characters mean in an address, and so on which host it names.
    let plain = redirect_uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte));
    if !plain || redirect_uri.len() > MOST {
        return Some("an absolute address of at most 2000 characters, with special characters percent-encoded");
    }
    let Ok(url) = Url::parse(redirect_uri) else {
        return Some("an absolute address such as https://app.example.com/callback");
    };
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Some("an address without a fragment and without a user name");
    }
    let ours = Url::parse(public_url).is_ok_and(|public| public.origin().is_tuple() && public.origin() == url.origin());
    let own_machine = matches!(url.scheme(), "http" | "https") && is_loopback(&url);
    (!ours && !own_machine).then_some(ELSEWHERE)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "https://app.example.com/base";

    #[test]
    fn the_platform_and_the_own_machine_are_good() {
        for good in [
            "https://app.example.com/callback?from=google",
            "https://app.example.com:443/",
            "http://127.0.0.1:5173/cb",
            "http://localhost/cb",
            "https://localhost:8443/cb",
            "http://[::1]:9/cb",
        ] {
            assert_eq!(refusal(PUBLIC, good), None, "{good}");
        }
    }

    #[test]
    fn everywhere_else_is_refused() {
        for bad in [
            "",
            "/callback",
            "https://evil.example/callback",
            "http://app.example.com/callback",
            "https://app.example.com:8443/callback",
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "https://evil.example\\@app.example.com/",
            "https://app.example.com\\@evil.example/",
            "https://user@app.example.com/",
            "https://app.example.com/cb#fragment",
            "https://localhost.evil.example/",
            "https://127.0.0.1.evil.example/",
            "http://10.0.0.1/cb",
            "javascript:alert(1)//app.example.com",
            "com.example.app://localhost/cb",
            "//app.example.com/cb",
            "https://app.example.com/ cb",
            "https://äpp.example.com/",
        ] {
            assert!(refusal(PUBLIC, bad).is_some(), "{bad}");
        }
        let long = format!("https://app.example.com/{}", "a".repeat(MOST));
        assert!(refusal(PUBLIC, &long).is_some());
    }

    #[test]
    fn a_public_address_that_is_none_lets_nobody_in() {
        assert!(refusal("data:text/plain,x", "data:text/plain,x").is_some());
    }
}
