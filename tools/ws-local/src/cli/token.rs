//! `ws-local token`: prints a token of the local issuer.

use std::{path::PathBuf, time::SystemTime};

use anyhow::Context;
use clap::{Args, builder::NonEmptyStringValueParser};

use crate::issuer::Issuer;

#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    /// The user
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    user: String,
    /// The claim that holds the user
    #[arg(long, value_name = "NAME", default_value = "sub")]
    claim: String,
    /// The claim `iss`
    #[arg(long, default_value = "ws-local")]
    issuer: String,
    /// The claim `aud`
    #[arg(long, default_value = "ws-local")]
    audience: String,
    /// Time until the token expires
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    expires_in: u32,
    /// Folder of the key
    #[arg(long, value_name = "DIR", default_value = ".local")]
    data: PathBuf,
}

pub(super) fn print(arguments: &TokenArguments) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    let mut claims = serde_json::json!({
        "iss": arguments.issuer,
        "aud": arguments.audience,
        "iat": now,
        "exp": now + u64::from(arguments.expires_in),
    });
    claims[&arguments.claim] = arguments.user.as_str().into();
    let issuer = Issuer::open(&arguments.data)?;
    if let Some(file) = &issuer.new_file {
        let (file, folder) = (file.display(), arguments.data.display());
        eprintln!("Made a new key, {file}. Its tokens are valid for a system that runs with --data {folder}.");
    }
    println!("{}", issuer.token(&claims));
    Ok(())
}
