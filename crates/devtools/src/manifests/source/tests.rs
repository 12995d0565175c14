use serde_json::json;

use super::*;
use crate::manifests::object::steps;

fn write(folder: &Path, file: &str, text: &str) {
    let file = folder.join(file);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("make a folder");
    std::fs::write(file, text).expect("write a file");
}

const BASE: &str = "\
# A comment.
kind: Deployment
metadata: { name: web }
spec:
  template:
    spec:
      containers:
        - name: side
          image: side:1
        - name: web
          image: web:1
          resources:
            requests: { cpu: 1 }
";

const OVERLAY: &str = "\
resources:
  - ../base
configMapGenerator:
  - name: settings
    files: [settings.toml]
patches:
  - target:
      kind: Deployment
    patch: |-
      - op: replace
        path: /spec/template/spec/containers/1/image
        value: web:2
  - patch: |-
      kind: Deployment
      metadata:
        name: web
      spec:
        template:
          spec:
            containers:
              - name: web
                recources: {}
";

#[test]
fn fields_are_found_where_they_were_written() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "base/kustomization.yaml", "resources: [web.yaml]\n");
    write(folder.path(), "base/web.yaml", BASE);
    write(folder.path(), "overlay/kustomization.yaml", OVERLAY);
    let sources = Sources::of(&folder.path().join("overlay"));
    let rendered = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "template": { "spec": { "containers": [
            { "name": "side", "image": "side:1" },
            { "name": "web", "image": "web:2", "resources": { "requests": { "cpu": 1 } }, "recources": {} },
        ] } } },
    });
    let web = Object::new(rendered).expect("an object");
    let settings = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings-abc" } });
    let settings = Object::new(settings).expect("an object");
    let place = |object: &Object, path: &str| sources.place(object, &steps(path)).expect("a place");
    let file = |file: &str, line: usize| format!("{}:{line}", folder.path().join(file).display());

    let containers = "spec.template.spec.containers";
    assert_eq!(place(&web, &format!("{containers}[0].image")), file("base/web.yaml", 9));
    assert_eq!(place(&web, &format!("{containers}[1].resources.requests.cpu")), file("base/web.yaml", 13));
    // Not there at all: where it would have to be.
    assert_eq!(place(&web, &format!("{containers}[1].resources.limits")), file("base/web.yaml", 12));
    assert_eq!(place(&web, &format!("{containers}[1].image")), file("overlay/kustomization.yaml", 12));
    assert_eq!(place(&web, &format!("{containers}[1].recources")), file("overlay/kustomization.yaml", 22));
    assert_eq!(place(&settings, "data"), file("overlay/kustomization.yaml", 4));
}
