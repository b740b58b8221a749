//! An image and a model on the screen.

use std::fmt::Write as _;

use comfy_table::CellAlignment;
use console::Style;

use super::table::{self, columns};
use super::units;
use crate::image::annotations::{CONTENT_DIGEST, FACT_PREFIX, FORMAT, INPUTS, OUTPUTS, RUNTIME};
use crate::image::inspect::{Inspection, LayerInfo};
use crate::model::{Model, ServingLayout, layout};
use crate::oci::printable;

/// The longest value shown, in characters; annotations and names come from strangers.
const MAX_TEXT: usize = 1024;
/// The width of the widest bar, in characters.
const BAR: u64 = 20;

/// An image: digest, platforms, facts, layers with bars.
pub fn image(name: &str, image: &Inspection) -> String {
    let mut text = heading(name);
    let layers = units::count(image.layers.len(), "layer");
    let facts = [
        ("digest", image.digest.to_string()),
        ("platforms", image.platforms.join(", ")),
        ("size", format!("{} in {layers}", units::bytes(image.size))),
        ("model", model_line(image)),
        ("content", image.annotations.get(CONTENT_DIGEST).cloned().unwrap_or_default()),
        ("inputs", image.annotations.get(INPUTS).cloned().unwrap_or_default()),
        ("outputs", image.annotations.get(OUTPUTS).cloned().unwrap_or_default()),
    ];
    for (label, value) in &facts {
        fact(&mut text, label, value);
    }
    for (key, value) in &image.annotations {
        if let Some(key) = key.strip_prefix(FACT_PREFIX) {
            fact(&mut text, key, value);
        }
    }
    fact(&mut text, "signed", &signed(image));
    let _ = write!(text, "\n{}", layer_table(&image.layers));
    text
}

fn heading(name: &str) -> String {
    format!("{}\n", Style::new().bold().apply_to(printable(name, MAX_TEXT)))
}

fn fact(text: &mut String, label: &str, value: &str) {
    if !value.is_empty() {
        let label = format!("{:<18}", printable(label, MAX_TEXT));
        let _ = writeln!(text, "  {} {}", Style::new().dim().apply_to(label), printable(value, MAX_TEXT));
    }
}

fn model_line(image: &Inspection) -> String {
    match (image.annotations.get(FORMAT), image.annotations.get(RUNTIME)) {
        (Some(format), Some(runtime)) => format!("{format}, laid out for {runtime}"),
        _ => String::new(),
    }
}

fn signed(image: &Inspection) -> String {
    let bundles = image.companions.referrers.iter().filter(|kind| kind.starts_with("application/vnd.dev.sigstore.bundle")).count();
    match (image.companions.classic_signatures, bundles) {
        (0, 0) => "no".to_owned(),
        (classic, bundles) => {
            format!(
                "{}, {} (not checked: see `modelcar verify`)",
                units::count(classic, "classic signature"),
                units::count(bundles, "bundle")
            )
        }
    }
}

fn layer_table(layers: &[LayerInfo]) -> String {
    let widest = layers.iter().map(|layer| layer.size).max().unwrap_or(1).max(1);
    let mut table = columns(["LAYER", "SIZE", "", "CONTENT"]);
    for layer in layers {
        let content = layer.content.clone().unwrap_or_else(|| "base".to_owned());
        let place = layer.platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
        table.add_row([
            layer.digest.short(),
            units::bytes(layer.size),
            bar(layer.size, widest),
            printable(&format!("{content}{place}"), MAX_TEXT),
        ]);
    }
    if let Some(sizes) = table.column_mut(1) {
        sizes.set_cell_alignment(CellAlignment::Right);
    }
    table::text(&table)
}

/// A bar; every layer that is not empty shows.
fn bar(size: u64, widest: u64) -> String {
    let width = (u128::from(size) * u128::from(BAR)).div_ceil(u128::from(widest));
    "━".repeat(usize::try_from(width).unwrap_or(0))
}

/// `ovms (usual), triton, mlserver`.
fn servers(model: &Model) -> String {
    let servers = layout::servers(model).into_iter().enumerate();
    let named = servers.map(|(at, server)| if at == 0 { format!("{server} (usual)") } else { server.to_string() });
    named.collect::<Vec<_>>().join(", ")
}

/// A model on disk: format, facts, and where its files would go.
pub fn model(name: &str, model: &Model, layout: &ServingLayout) -> String {
    let mut text = heading(name);
    let size = model.files.iter().map(|file| file.size).sum();
    fact(&mut text, "format", model.format);
    fact(&mut text, "size", &format!("{} in {}", units::bytes(size), units::count(model.files.len(), "file")));
    for item in &model.facts.items {
        fact(&mut text, &item.label, &item.value);
    }
    for (label, tensors) in [("input", &model.facts.inputs), ("output", &model.facts.outputs)] {
        for tensor in tensors {
            fact(&mut text, label, &tensor.to_string());
        }
    }
    fact(&mut text, "layout", &format!("{}: {}", layout.runtime, layout.why));
    fact(&mut text, "servers", &servers(model));
    fact(&mut text, "arguments", &layout.args.join(" "));
    let mut table = columns(["SIZE", "IN THE IMAGE", "FROM"]);
    for placed in layout.files.iter().take(100) {
        table.add_row([units::bytes(placed.file.size), format!("/models/{}", placed.target), placed.file.path.clone()]);
    }
    if layout.files.len() > 100 {
        table.add_row([String::new(), format!("… and {} more", layout.files.len() - 100), String::new()]);
    }
    let _ = write!(text, "\n{}", table::text(&table));
    text
}
