.PHONY: crds
crds:
	cargo run --quiet -- crds crds
