//! The patterns of the template's parameters accept what the functions accept. Otherwise a value could be deployed that
//! stops every start of a function.

use aws_config::SdkConfig;
use chat_core::configuration::{AuthMode, Configuration, InvalidConfiguration, origins::Origins};
use proptest::prelude::*;
use support::strategies::{cases, mutated};

/// Whether template.yaml accepts this value of a parameter.
fn deploys(parameter: &str, value: &str) -> bool {
    support::deploy(&[("AuthMode", "open"), (parameter, value)]).is_ok()
}

/// The configuration of jwt mode, with one variable changed.
fn auth_mode(changed: &'static str, value: &str) -> Result<AuthMode, InvalidConfiguration> {
    let value = value.to_owned();
    let variables = move |name: &str| match name {
        _ if name == changed => Some(value.clone()),
        "AUTH_MODE" => Some("jwt".to_owned()),
        "JWT_JWKS_URL" => Some("https://issuer.example/keys".to_owned()),
        "JWT_ISSUER" | "JWT_AUDIENCE" => Some("chat".to_owned()),
        _ => None,
    };
    Configuration::new(variables, SdkConfig::builder().build()).auth_mode()
}

/// Text that is nearly one of these.
fn near(examples: &[&str]) -> impl Strategy<Value = String> + use<> {
    mutated(examples.iter().map(|example| (*example).to_owned()).collect())
}

const ORIGINS: [&str; 5] = [
    "https://chat.example.com",
    "https://a.example, http://localhost:3000",
    "https://*.example.com:8443,http://[::1]:3000",
    "capacitor://localhost,chrome-extension://abcdefgh",
    "https://*.a-b.example.com",
];
const JWKS_URLS: [&str; 4] = [
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
    "https://issuer.example:8443/.well-known/jwks.json?v=1",
    "http://127.0.0.1:3000/keys",
    "http://[::1]:3000/keys",
];
const CLAIMS: [&str; 3] = ["https://issuer.example/", "api://chat app", "cognito:username"];

#[test]
fn the_examples_are_accepted() {
    for origins in ORIGINS {
        assert!(deploys("AllowedOrigins", origins) && Origins::parse(origins).is_ok(), "{origins}");
    }
    for url in JWKS_URLS {
        assert!(deploys("JwtJwksUrl", url) && auth_mode("JWT_JWKS_URL", url).is_ok(), "{url}");
    }
    for text in CLAIMS {
        assert!(deploys("JwtIssuer", text) && auth_mode("JWT_ISSUER", text).is_ok(), "{text}");
    }
}

#[test]
fn values_that_would_refuse_every_user_are_refused_at_deployment() {
    const ORIGIN: &str = "origins such as https://chat.example.com, separated by commas, in lower case, without a path or a slash at the end";
    const URL: &str =
        "an https:// URL such as https://example.com/.well-known/jwks.json, without a user name and without #";
    const TEXT: &str = "printable ASCII without a space at either end";
    const HOST: &str = "a host name in lower case such as chat.example.com, without https:// and without a path";
    for (parameter, value, advice) in [
        ("AllowedOrigins", "https://chat.example/", ORIGIN),
        ("AllowedOrigins", "https://Chat.example", ORIGIN),
        ("AllowedOrigins", "HTTPS://chat.example", ORIGIN),
        ("AllowedOrigins", "https://chat.example/path", ORIGIN),
        ("AllowedOrigins", "chat.example", ORIGIN),
        ("AllowedOrigins", "*", ORIGIN),
        ("AllowedOrigins", "https://a https://b", ORIGIN),
        ("AllowedOrigins", "https://a,", ORIGIN),
        ("AllowedOrigins", " ", ORIGIN),
        ("JwtJwksUrl", "http://issuer.example/keys", URL),
        ("JwtJwksUrl", "https://user@issuer.example/keys", URL),
        ("JwtJwksUrl", "https://issuer.example/keys#1", URL),
        ("JwtJwksUrl", "https://issuer.example/keys ", URL),
        ("JwtJwksUrl", "issuer.example/keys", URL),
        ("JwtIssuer", "https://issuer.example/ ", TEXT),
        ("JwtAudience", " chat", TEXT),
        ("JwtUserClaim", "", "the name of a claim in printable ASCII, without a space at either end"),
        ("JwtUserClaim", "sub ", "the name of a claim in printable ASCII, without a space at either end"),
        ("DomainName", "https://chat.example.com", HOST),
        ("DomainName", "Chat.example.com", HOST),
        ("DomainName", "chat.example.com/", HOST),
        (
            "HostedZoneId",
            "/hostedzone/Z0123",
            "the id of a hosted zone such as Z0123456789ABCDEFGHIJ, without /hostedzone/",
        ),
        ("CaBundle", "ca-bundle.crt", "empty, or a path that begins with /"),
        ("AuthMode", "JWT", "it must be one of open, jwt"),
        ("MessageRate", "0", "it must be from 1 to 1000"),
    ] {
        let refusal = support::deploy(&[("AuthMode", "open"), (parameter, value)]).unwrap_err();
        assert!(refusal.contains(parameter) && refusal.contains(advice), "{parameter}={value:?}: {refusal}");
    }
}

#[test]
fn incomplete_parameters_are_refused_at_deployment() {
    let jwt = [("AuthMode", "jwt"), ("JwtJwksUrl", JWKS_URLS[0]), ("JwtIssuer", "issuer"), ("JwtAudience", "chat")];
    assert!(support::deploy(&jwt).is_ok());
    for (left_out, advice) in [
        (1, "AuthMode=jwt needs JwtJwksUrl, the https:// URL of the identity provider's keys"),
        (2, "AuthMode=jwt needs JwtIssuer, the value of the token's iss claim"),
        (3, "AuthMode=jwt needs JwtAudience, the value of the token's aud claim"),
    ] {
        let given: Vec<_> =
            jwt.iter().enumerate().filter(|(index, _)| *index != left_out).map(|(_, one)| *one).collect();
        let refusal = support::deploy(&given).unwrap_err();
        assert!(refusal.contains(advice), "{refusal}");
    }
    let refusal = support::deploy(&[("AuthMode", "open"), ("DomainName", "chat.example.com")]).unwrap_err();
    assert!(refusal.contains("DomainName needs CertificateArn"), "{refusal}");
    assert!(support::deploy(&[]).unwrap_err().contains("AuthMode"));
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn origins(list in near(&ORIGINS)) {
        // Blank text can't be entered in the console and means all origins.
        prop_assume!(list.is_empty() || !list.trim().is_empty());
        prop_assert_eq!(deploys("AllowedOrigins", &list), Origins::parse(&list).is_ok(), "{:?}", list);
    }

    #[test]
    fn jwks_urls(url in near(&JWKS_URLS)) {
        prop_assume!(!url.trim().is_empty());
        prop_assert_eq!(deploys("JwtJwksUrl", &url), auth_mode("JWT_JWKS_URL", &url).is_ok(), "{:?}", url);
    }

    #[test]
    fn texts_of_a_token(text in near(&CLAIMS)) {
        prop_assume!(!text.trim().is_empty());
        for (parameter, variable) in
            [("JwtIssuer", "JWT_ISSUER"), ("JwtAudience", "JWT_AUDIENCE"), ("JwtUserClaim", "JWT_USER_CLAIM")]
        {
            let is_accepted = auth_mode(variable, &text).is_ok();
            prop_assert_eq!(deploys(parameter, &text), is_accepted, "{} {:?}", parameter, text);
        }
    }
}
