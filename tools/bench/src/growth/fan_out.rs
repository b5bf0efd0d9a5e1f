//! One message to ever more connections: the release binaries, with 5 ms a call.

use std::path::Path;

use crate::{
    actions,
    measure::{Bench, Rounds, run},
    report::Figures,
    tls::Authority,
};

/// So many connections has whoever gets a message.
pub const SIZES: [usize; 4] = [1, 10, 100, 1_000];

/// What a message takes, over plain HTTP and over TLS: the no-op first, then one row for each of [`SIZES`].
///
/// # Errors
/// As from [`run`].
pub async fn rows(binaries: &Path) -> anyhow::Result<[Vec<(String, Figures)>; 2]> {
    let authority = Authority::new()?;
    let mut both = Vec::new();
    for authority in [None, Some(&authority)] {
        let bench = Bench::start(binaries, support::tables(), authority, actions::fan_out(&SIZES), None).await?;
        both.extend(run(vec![bench], Rounds { fresh: 1, warm: 125 }).await?);
    }
    let [plain, encrypted] = both.try_into().unwrap_or_else(|_| unreachable!("two runs of one bench each"));
    Ok([plain, encrypted])
}
