//! Fan-out of one message to a rising number of connections. Measures the release binaries with 5
//! ms per AWS call.

use std::path::Path;

use crate::{
    actions,
    measure::{Bench, Rounds, run},
    report::Measurement,
    tls::CertificateAuthority,
};

/// Connections of the recipient.
pub const SIZES: [usize; 3] = [1, 10, 100];

/// Measures over plain HTTP and over TLS: first the no-op function, then one row for each of [`SIZES`].
///
/// # Errors
/// As [`run`].
pub async fn measure(binaries: &Path) -> anyhow::Result<[Vec<(String, Measurement)>; 2]> {
    let authority = CertificateAuthority::new()?;
    let mut both = Vec::new();
    for authority in [None, Some(&authority)] {
        let bench = Bench::start(binaries, support::tables(), authority, actions::fan_out(&SIZES), None).await?;
        both.extend(run(vec![bench], Rounds { fresh: 1, warm: 125 }).await?);
    }
    let [plain, encrypted] = both.try_into().unwrap_or_else(|_| unreachable!("two runs of one bench each"));
    Ok([plain, encrypted])
}
