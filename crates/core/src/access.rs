//! Who may do what: scopes, secrets, and the path token of a player.

pub mod path;
pub mod runner;
pub mod secret;
pub mod sender;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{AppId, TokenId};

macro_rules! scopes {
    ($($scope:ident $name:literal $summary:literal;)*) => {
        /// One thing that a token allows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope {
            $(#[doc = $summary] $scope,)*
        }

        impl Scope {
            /// All scopes.
            pub const ALL: &[Self] = &[$(Self::$scope),*];

            /// The word for this scope, such as `upload:write`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$scope => $name,)* }
            }
        }
    };
}

scopes! {
    UploadWrite "upload:write" "Create and send uploads.";
    VideoRead "video:read" "See videos, play them and read their events.";
    VideoWrite "video:write" "Change and delete videos.";
    JobRead "job:read" "See jobs.";
    JobWrite "job:write" "Cancel jobs and run them again.";
    Admin "admin" "Everything, and make tokens.";
}

/// A set of scopes; its text form is their words in a fixed order, with spaces between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u32);

/// A word that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope `{0}`")]
pub struct UnknownScope(pub String);

impl Scopes {
    /// What an administrator may: everything.
    pub const ADMIN: Self = Self(1 << Scope::Admin as u32);

    /// The set of these scopes.
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | 1 << *scope as u32))
    }

    /// Does this set allow `scope`? `admin` allows all.
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u32) != 0 || self.0 & Self::ADMIN.0 != 0
    }

    /// Does this set allow everything that `other` allows? So nobody hands out more than they have.
    pub fn cover(self, other: Self) -> bool {
        other.each().all(|scope| self.allow(scope))
    }

    /// The scopes in this set, in the order of [`Scope::ALL`].
    pub fn each(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.0 & (1 << *scope as u32) != 0)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.each().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{}", scope.name())?;
        }
        Ok(())
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let mut found = Vec::new();
        for word in text.split_whitespace() {
            let scope = Scope::ALL.iter().find(|scope| scope.name() == word);
            found.push(*scope.ok_or_else(|| UnknownScope(word.to_owned()))?);
        }
        Ok(Self::of(&found))
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a stored secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The link that makes the first administrator; used once.
    Claim,
    /// A browser.
    Session,
    /// A program.
    Api,
}

/// Who asks, after the secret was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The holder of a token or session.
    Token {
        /// The token.
        token: TokenId,
        /// Its app.
        app: AppId,
        /// What it allows.
        scopes: Scopes,
    },
    /// Somebody on this machine, while no other address is listened on and nobody has claimed the server.
    Local {
        /// The app they work in.
        app: AppId,
        /// What they may.
        scopes: Scopes,
    },
}

impl Actor {
    /// The app in which the actor works.
    pub const fn app(&self) -> AppId {
        match *self {
            Self::Token { app, .. } | Self::Local { app, .. } => app,
        }
    }

    /// May the actor do what `scope` names?
    pub const fn may(&self, scope: Scope) -> bool {
        match *self {
            Self::Token { scopes, .. } | Self::Local { scopes, .. } => scopes.allow(scope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_keep_their_meaning_as_text() {
        let some = Scopes::of(&[Scope::VideoRead, Scope::UploadWrite]);
        assert_eq!(some.to_string(), "upload:write video:read");
        assert_eq!("video:read  upload:write".parse(), Ok(some));
        assert_eq!("video:reed".parse::<Scopes>(), Err(UnknownScope("video:reed".to_owned())));
    }

    #[test]
    fn only_an_administrator_may_everything() {
        let reader = Scopes::of(&[Scope::VideoRead]);
        for scope in Scope::ALL {
            assert!(Scopes::ADMIN.allow(*scope));
            assert_eq!(reader.allow(*scope), *scope == Scope::VideoRead);
            assert!(!Scopes::default().allow(*scope));
        }
        assert!(Scopes::ADMIN.cover(reader) && !reader.cover(Scopes::ADMIN));
    }
}
