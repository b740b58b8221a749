# Needs git, make and a Rust toolchain; each target that wants more says so and how to get it.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PREFIX ?= /usr/local
TAG ?= 0.1
SHELL_SCRIPTS = $(shell git ls-files '*.sh' .ci/run)
YAML_FILES = $(shell git ls-files '*.yml' '*.yaml' ':!testdata' ':!tests/**/golden' ':!fuzz/corpus')
# a pinned peer wins over whatever else the machine has
export PATH := $(CURDIR)/.peers/bin:$(PATH):$(CURDIR)/.venv/bin

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the release binary, target/release/modelcar
	cargo build --release --locked

.PHONY: static
static: ## the static binary, target/static/TARGET/release/modelcar (STATIC_PROFILE=dist: smaller, and several times as long to build)
	scripts/static.sh

.PHONY: check-static
check-static: ## build the static binary a second time, in another folder, and compare the bytes
	scripts/static.sh --check

.PHONY: image
image: ## modelcar's own image, oci:target/modelcar-image:VERSION or DEST=…, by podman, buildah or (IMAGE_TOOL=self) its own code
	scripts/image.sh $(DEST)

.PHONY: demo
demo: ## the main job on a real model: image, signature, site patch; needs no network service
	cargo build --locked
	scripts/demo.sh

# two bundles, because Tekton reads at most 20 resources of one
.PHONY: tekton-bundle
# where they go, such as quay.io/acme
tekton-bundle: DEST ?= oci:target/tekton
tekton-bundle: ## the Tekton catalogue as two OCI bundles, DEST/modelcar-catalog:TAG (tasks, pipelines) and DEST/modelcar-stepactions:TAG
	cargo run --quiet --locked --example tekton_bundle -- "$(DEST)/modelcar-catalog:$(TAG)" tekton/tasks tekton/pipelines
	cargo run --quiet --locked --example tekton_bundle -- "$(DEST)/modelcar-stepactions:$(TAG)" tekton/stepactions

.PHONY: peers
peers: ## install the real programs that the tests drive (Debian packages when root, .venv, .peers)
	tests/peers/install.sh

.PHONY: test
test: peers ## every test, then what was skipped; MODELCAR_REQUIRE_PEERS=1 makes a missing peer a failure
	scripts/test.sh

.PHONY: check-shell
check-shell: ## rebuild the image's shell for amd64 and arm64 with Debian 12's compiler and compare it with the committed files
	shell/build.sh --check amd64 arm64

.PHONY: bench
bench: build ## modelcar beside its floor and its peers, about fifteen minutes; measures and fails nothing (BENCH='--only cold')
	rustc --edition 2024 -O -o target/release/null_registry benches/null_registry.rs
	benches/run $(BENCH)

.PHONY: install
install: build ## put the binary into PREFIX/bin (PREFIX=/usr/local, DESTDIR is honoured)
	install -D -m 0755 target/release/modelcar "$(DESTDIR)$(PREFIX)/bin/modelcar"

.PHONY: clean
clean: ## remove what make made: target, demo, .venv, .peers
	rm -rf target demo modelcar.oci .venv .peers

.PHONY: lint lint-format lint-clippy lint-docs lint-deny lint-shell lint-yaml
lint: lint-format lint-shell lint-yaml lint-deny lint-clippy lint-docs ## every check that is not a test, cheapest first

lint-format:
	cargo fmt --check

lint-clippy:
	cargo clippy --locked --all-targets -- -D warnings

lint-docs:
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

lint-deny:
	@scripts/with-tool.sh cargo-deny --locked --log-level error check --show-stats bans licenses sources

lint-shell:
	@scripts/with-tool.sh shellcheck --external-sources $(SHELL_SCRIPTS)

lint-yaml:
	@$(if $(YAML_FILES),scripts/with-tool.sh yamllint --strict $(YAML_FILES),echo 'no YAML yet')
