//! The program.

#[path = "../apps/mod.rs"]
mod apps;

fn main() {
    for app in apps::ALL {
        println!("{:12} {}", app.name, app.about);
    }
}
