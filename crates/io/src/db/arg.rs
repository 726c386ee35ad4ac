//! The values that a statement is given, for both databases.

use matinee_core::id::Id;
use matinee_core::time::Millis;
use uuid::Uuid;

/// One value for a statement. A NULL keeps its type, because PostgreSQL asks for it.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Id(Option<Uuid>),
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Json(Option<serde_json::Value>),
    Bool(Option<bool>),
}

macro_rules! arg_from {
    ($($variant:ident from $kind:ty: $value:ident => $to:expr;)*) => {$(
        impl From<$kind> for Arg {
            fn from($value: $kind) -> Self {
                Self::$variant(Some($to))
            }
        }
        impl From<Option<$kind>> for Arg {
            fn from(value: Option<$kind>) -> Self {
                Self::$variant(value.map(|$value| $to))
            }
        }
    )*};
}

arg_from! {
    Int from i64: value => value;
    Int from u32: value => i64::from(value);
    Int from u64: value => i64::try_from(value).expect("because no size or count of ours passes 2^63");
    Int from Millis: value => value.0;
    Text from String: value => value;
    Text from &str: value => value.to_owned();
    Bytes from Vec<u8>: value => value;
    Bytes from &[u8]: value => value.to_vec();
    Bytes from [u8; 16]: value => value.to_vec();
    Bytes from [u8; 32]: value => value.to_vec();
    Json from serde_json::Value: value => value;
    Bool from bool: value => value;
}

impl<N> From<Id<N>> for Arg {
    fn from(id: Id<N>) -> Self {
        Self::Id(Some(Uuid::from_u128(id.bits())))
    }
}
impl<N> From<Option<Id<N>>> for Arg {
    fn from(id: Option<Id<N>>) -> Self {
        Self::Id(id.map(|id| Uuid::from_u128(id.bits())))
    }
}

/// The values of a statement, in the order of `$1`, `$2`, ...
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::arg::Arg::from($value)),*] };
}
pub(crate) use args;
