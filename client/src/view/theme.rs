//! The few styles of the screen, in the sixteen colours that every terminal shows on light and dark. PURE.

use ratatui::style::{Color, Modifier, Style};

/// The styles, with or without colour.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// Whether colours are used; weight and reversal always are.
    pub colour: bool,
}

impl Theme {
    fn paint(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// Names of screens and panes.
    pub fn title(self) -> Style {
        self.paint(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Frames of panes.
    pub fn frame(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What explains.
    pub fn quiet(self) -> Style {
        // Not dark grey: some schemes give it the colour of the background.
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What is stored or well.
    pub fn good(self) -> Style {
        self.paint(Color::Green)
    }

    /// What waits.
    pub fn warn(self) -> Style {
        self.paint(Color::Yellow)
    }

    /// What failed.
    pub fn bad(self) -> Style {
        self.paint(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Keys in the footer and the help.
    pub fn key(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Heads of columns.
    pub fn head(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The selected row.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The bar of a node, by its place among the nodes.
    pub fn bar(self, place: usize) -> Style {
        self.paint(match place % 5 {
            0 => Color::Cyan,
            1 => Color::Magenta,
            2 => Color::Yellow,
            3 => Color::Green,
            _ => Color::Blue,
        })
    }
}
