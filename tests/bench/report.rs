//! The figures: a table for people, JSON for machines.

use serde_json::json;

/// One figure, possibly of several runs, possibly beside another tool's.
pub struct Figure {
    name: String,
    unit: &'static str,
    ours: Vec<f64>,
    beside: Option<(&'static str, Vec<f64>)>,
}

/// All of them, in the order in which they were measured.
#[derive(Default)]
pub struct Report(Vec<Figure>);

impl Report {
    /// A figure that stands alone.
    pub fn add(&mut self, name: impl Into<String>, unit: &'static str, value: f64) {
        self.0.push(Figure { name: name.into(), unit, ours: vec![value], beside: None });
    }

    /// Pairs measured in turns.
    pub fn add_pairs(&mut self, name: impl Into<String>, unit: &'static str, tool: &'static str, pairs: &[(f64, f64)]) {
        let (ours, theirs) = pairs.iter().copied().unzip();
        self.0.push(Figure { name: name.into(), unit, ours, beside: Some((tool, theirs)) });
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = format!("{:<44} {:>12} {:<8} {:>12}  {:>7}  {}\n", "", "rbackup", "", "beside", "ratio", "each");
        for figure in &self.0 {
            let ours = median(&figure.ours);
            out += &format!("{:<44} {:>12} {:<8}", figure.name, number(ours), figure.unit);
            if let Some((tool, theirs)) = &figure.beside {
                let each: Vec<String> =
                    figure.ours.iter().zip(theirs).map(|(a, b)| format!("{}/{}", number(*a), number(*b))).collect();
                out += &format!(
                    " {:>12}  {:>7.2}  {}  ({tool})",
                    number(median(theirs)),
                    figure.ratio().unwrap_or(0.0),
                    each.join(" ")
                );
            }
            out.push('\n');
        }
        out
    }

    /// For machines.
    pub fn json(&self) -> String {
        let figures = self.0.iter().map(|figure| {
            let beside = figure.beside.as_ref().map(|(tool, values)| json!({ "tool": tool, "values": values }));
            json!({ "name": figure.name, "unit": figure.unit, "values": figure.ours, "beside": beside, "ratio": figure.ratio() })
        });
        format!("{:#}\n", json!({ "figures": figures.collect::<Vec<_>>() }))
    }
}

impl Figure {
    /// The median of the pairs' ratios: what wanders, wanders for both of a pair.
    fn ratio(&self) -> Option<f64> {
        let (_, theirs) = self.beside.as_ref()?;
        let ratios: Vec<f64> = self.ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
        Some(median(&ratios))
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn number(value: f64) -> String {
    if value < 10.0 { format!("{value:.3}") } else { format!("{value:.0}") }
}
