//! The beginning that many commands share: without a word they list, with one they do something; and the list itself.

use std::io::Write;

use super::Form;
use super::text::{Column, table};

/// What a command is told: an order, or nothing, which means its list.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Ordered<O: clap::Subcommand, L: clap::Args = Form> {
    #[command(subcommand)]
    order: Option<O>,
    #[command(flatten)]
    list: L,
}

impl<O: clap::Subcommand, L: clap::Args> Ordered<O, L> {
    /// The order; `ls` makes one of what was said of the list.
    pub(super) fn or(self, ls: impl FnOnce(L) -> O) -> O {
        self.order.unwrap_or_else(|| ls(self.list))
    }
}

/// How things of one kind are listed.
pub(super) struct Listing<'a, T> {
    /// Titles of the table, and whether what is below stands at the right.
    pub(super) columns: &'a [(&'static str, bool)],
    /// A line of the table.
    pub(super) row: &'a dyn Fn(&T) -> Vec<String>,
    /// What a thing is called by whoever uses it next.
    pub(super) name: &'a dyn Fn(&T) -> String,
    /// All of it for a program.
    pub(super) json: &'a dyn Fn(&T) -> serde_json::Result<String>,
    /// What is said where there is none.
    pub(super) none: &'a str,
}

impl<T> Listing<'_, T> {
    /// Writes them all as somebody wants them: an object a line, a name a line, or a table.
    pub(super) fn write(&self, out: &mut impl Write, form: Form, all: &[T]) -> anyhow::Result<()> {
        if form.json || form.quiet {
            for one in all {
                let line = if form.json { (self.json)(one)? } else { (self.name)(one) };
                writeln!(out, "{line}")?;
            }
        } else if all.is_empty() {
            writeln!(out, "{}", self.none)?;
        } else {
            let columns: Vec<_> = self.columns.iter().map(|(title, right)| Column(title, *right)).collect();
            let rows: Vec<_> = all.iter().map(self.row).collect();
            table(out, &columns, &rows)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        told: Ordered<Order>,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Order {
        Ls(Form),
        Test { name: String },
    }

    fn order(words: &[&str]) -> Option<Order> {
        Some(Line::try_parse_from(words).ok()?.told.or(Order::Ls))
    }

    #[test]
    fn without_an_order_it_is_the_list() {
        assert!(matches!(order(&["it"]), Some(Order::Ls(Form { json: false, quiet: false }))));
        assert!(matches!(order(&["it", "--json"]), Some(Order::Ls(Form { json: true, .. }))));
        assert!(matches!(order(&["it", "ls", "-q"]), Some(Order::Ls(Form { quiet: true, .. }))));
        assert!(matches!(order(&["it", "test", "a"]), Some(Order::Test { name }) if name == "a"));
        assert!(
            order(&["it", "--json", "test", "a"]).is_none(),
            "what is said of the list is not of the order"
        );
    }

    #[test]
    fn a_list_is_written_as_it_is_wanted() {
        let listing = Listing {
            columns: &[("NAME", false), ("SIZE", true)],
            row: &|one: &(&str, u8)| vec![one.0.to_owned(), one.1.to_string()],
            name: &|one| one.0.to_owned(),
            json: &|one| serde_json::to_string(&one.1),
            none: "There is nothing.",
        };
        let told = |json, quiet, all: &[(&'static str, u8)]| {
            let mut out = Vec::new();
            listing.write(&mut out, Form { json, quiet }, all).unwrap();
            String::from_utf8(out).unwrap()
        };
        let all = [("a", 7), ("bcdef", 120)];
        assert_eq!(told(true, false, &all), "7\n120\n");
        assert_eq!(told(false, true, &all), "a\nbcdef\n");
        assert_eq!(told(false, false, &all), "NAME   SIZE\na         7\nbcdef   120\n");
        assert_eq!(told(false, false, &[]), "There is nothing.\n");
        assert_eq!((told(true, false, &[]), told(false, true, &[])), (String::new(), String::new()));
    }
}
