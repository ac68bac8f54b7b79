//! Every operation of the API, read from the document that the kernel serves.

use plinth_tests::Kernel;
use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Operation {
    /// Upper case.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
    pub public: bool,
    pub permission: Option<String>,
    pub operator: bool,
    /// The prefix of the identifier that stands for each path parameter; `None` where it is no identifier.
    pub parameters: Vec<(String, Option<String>)>,
    /// The names of its query parameters.
    pub queries: Vec<String>,
}

pub async fn operations(kernel: &Kernel) -> Vec<Operation> {
    let document = kernel.get("openapi.json").send().await.expect(200).json();
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods");
        let document = &document;
        methods.iter().map(move |(method, described)| operation(document, method, path, described))
    });
    // Only a development kernel has these, and they are for tests.
    operations.filter(|operation| !operation.path.starts_with("/api/v1/dev/")).collect()
}

fn operation(document: &Value, method: &str, path: &str, described: &Value) -> Operation {
    let all = described["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let queries = all.iter().filter(|parameter| parameter["in"] == "query");
    let parameters = all.iter().filter(|parameter| parameter["in"] == "path").map(|parameter| {
        let schema = &parameter["schema"];
        let named = schema["$ref"].as_str().and_then(|target| document.pointer(target.trim_start_matches('#')));
        let pattern = named.unwrap_or(schema)["pattern"].as_str();
        // `^usr_[0-7]…`
        let prefix =
            pattern.and_then(|pattern| pattern.strip_prefix('^')?.split_once('_')).map(|(prefix, _)| prefix.to_owned());
        (parameter["name"].as_str().expect("a name").to_owned(), prefix)
    });
    Operation {
        method: method.to_uppercase(),
        path: path.to_owned(),
        public: described["security"].as_array().is_some_and(Vec::is_empty),
        permission: described["x-permission"].as_str().map(str::to_owned),
        operator: described["x-operator"] == true,
        parameters: parameters.collect(),
        queries: queries.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect(),
    }
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The path with something in the place of each parameter.
    pub fn filled(&self, mut value: impl FnMut(&str, Option<&str>) -> String) -> String {
        self.parameters.iter().fold(self.path.clone(), |path, (name, prefix)| {
            path.replace(&format!("{{{name}}}"), &value(name, prefix.as_deref()))
        })
    }

    /// A well-formed identifier of nothing in each place.
    pub fn of_nothing(&self) -> String {
        self.filled(|_, prefix| format!("{}_01jd3v7k2qf5e8m0s4w6y9b1c3", prefix.unwrap_or("rol")))
    }

    /// Ends the session that asks, or all others of the person.
    pub fn signs_out(&self) -> bool {
        ["POST /api/v1/auth/logout", "DELETE /api/v1/auth/sessions"].contains(&self.name().as_str())
    }
}
