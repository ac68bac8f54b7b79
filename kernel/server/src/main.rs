mod config;

fn main() {
    let sources = config::Sources::from_process(None, Vec::new());
    let result = config::load(&sources);
    print!("{}", config::render_check(&result, false));
    if let Ok(loaded) = &result {
        print!("{}", config::render_print(loaded, false));
    }
}
