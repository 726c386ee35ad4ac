//! In what the services differ. Each of these has lost somebody's data or time.

/// A service that is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Amazon S3, a bucket without versions.
    Aws,
    /// Backblaze B2: always with versions, no conditions, no checksums.
    B2,
    /// Cloudflare R2: parts must be equal, which is told only at the end.
    R2,
    /// Garage: conditions are ignored silently, parts may be tiny.
    Garage,
}

/// What becomes of a put with a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Honoured,
    Refused,
    Ignored,
}

/// What becomes of checksums in headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    Verified,
    Refused,
}

/// Which parts may be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartRule {
    /// All but the last have at least 5 MiB.
    Long,
    /// All but the last have at least 5 MiB and one length; the last is not longer.
    Equal,
    /// Any.
    Any,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Aws, Self::B2, Self::R2, Self::Garage];

    /// The region that signatures must name.
    pub const fn region(self) -> &'static str {
        match self {
            Self::Aws => "eu-north-1",
            Self::B2 => "eu-central-003",
            Self::R2 => "auto",
            Self::Garage => "garage",
        }
    }

    /// May a signature name this region?
    pub(super) fn takes_region(self, region: &str) -> bool {
        region == self.region() || (self == Self::R2 && matches!(region, "us-east-1" | ""))
    }

    pub(super) const fn condition(self) -> Condition {
        match self {
            Self::Aws | Self::R2 => Condition::Honoured,
            Self::B2 => Condition::Refused,
            Self::Garage => Condition::Ignored,
        }
    }

    pub(super) const fn sums(self) -> Sums {
        match self {
            Self::Aws | Self::R2 | Self::Garage => Sums::Verified,
            Self::B2 => Sums::Refused,
        }
    }

    pub(super) const fn part_rule(self) -> PartRule {
        match self {
            Self::Aws | Self::B2 => PartRule::Long,
            Self::R2 => PartRule::Equal,
            Self::Garage => PartRule::Any,
        }
    }

    /// Are versions kept?
    pub(super) const fn has_versions(self) -> bool {
        matches!(self, Self::B2)
    }

    /// Can versions be listed, whether they are kept or not?
    pub(super) const fn lists_versions(self) -> bool {
        matches!(self, Self::Aws | Self::B2)
    }

    /// Are access lists and tags taken?
    pub(super) const fn takes_tags(self) -> bool {
        matches!(self, Self::Aws)
    }

    /// Open uploads end by themselves after so long, in milliseconds.
    pub(super) const fn upload_life_ms(self) -> Option<i64> {
        match self {
            Self::R2 => Some(7 * 86_400_000),
            Self::Aws | Self::B2 | Self::Garage => None,
        }
    }

    /// The status of "slow down".
    pub(super) const fn slow_status(self) -> u16 {
        match self {
            Self::R2 => 429,
            Self::Aws | Self::B2 | Self::Garage => 503,
        }
    }
}
