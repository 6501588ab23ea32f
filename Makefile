.PHONY: help check crds golden chaos mutants demo e2e survival e2e-mesh bench judge-bench

help: ## Says what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile

check: ## Formatting, lints, docs and the tests that need nothing but Rust
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo clippy --locked --quiet --test e2e --test mesh --test survival -- -A warnings -D clippy::await_holding_lock
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items
	cargo test --locked

crds: ## Writes crds/ from src/api
	cargo run --quiet --locked -- crds crds

golden: crds ## Regenerates all generated files and transcripts; review the diff
	SLUICE_GOLDEN=1 cargo test --quiet --locked --test scenarios --test console --test reference

chaos: ## Random lives with faults: make chaos SEEDS=1..5000
	SLUICE_CHAOS_SEEDS=$(SEEDS) cargo test --locked --test chaos lives

mutants: ## Plants known bugs and counts the seeds that chaos needs to find them
	hack/mutants.sh

demo: ## Runs good and bad releases on a control plane of its own; needs Go and kubectl
	hack/demo.sh

e2e: ## Tests on a real control plane and a real Prometheus; needs Go and kubectl
	tests/cluster/build.sh
	hack/prometheus.sh
	tests/lua/build.sh
	cargo test --locked --test e2e -- --test-threads=4

survival: ## Releases while controllers, API server and etcd are killed; needs Go and kubectl, and the machine for itself
	tests/cluster/build.sh
	cargo test --locked --test survival -- --nocapture

e2e-mesh: ## Releases under real traffic through Istio and Envoy; needs Go, Python and iproute2 as well
	tests/mesh/run.sh

bench: ## Counts API calls and times releases on the real control plane
	tests/cluster/build.sh
	cargo test --locked --release --test bench
	cargo bench --locked --bench simulation

judge-bench: ## False alarms of the judges, and how soon they find a bad canary; a quarter of an hour on two cores
	cargo bench --locked --bench judge
