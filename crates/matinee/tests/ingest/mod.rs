//! Files that come from elsewhere than a browser: by path, by a watched folder, from a bucket, from another machine.

mod bucket;
mod folder;
mod path;
mod sending;
