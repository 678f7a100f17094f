# opsdeck. "make help" lists what can be done.
SHELL := /bin/bash
GO ?= go
BIN := bin/opsdeck
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.release=$(VERSION)
export CGO_ENABLED = 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/opsdeck, static
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/opsdeck

.PHONY: run
run: build ## open the console on the current folder
	$(BIN)

.PHONY: demo
demo: build ## open the console on a workspace made for trying it out
	$(BIN) demo

.PHONY: test
test: ## run all tests; those whose server is missing are skipped with a line that says so
	@for c in redis-server python3 tmux; do command -v $$c >/dev/null || echo "$$c is missing: the tests that need it are skipped"; done
	@[ -n "$$DOCKER_HOST" ] || [ -S /var/run/docker.sock ] || echo "no Docker Engine is here: the tests that need it are skipped"
	$(GO) test ./...

.PHONY: watch
watch: ## run the tests of a package whenever one of its files is saved
	testdata/watch $(ARGS)

.PHONY: cover
cover: ## coverage of all packages by all tests; HTML=1 writes bin/cover.html too
	@mkdir -p bin
	$(GO) test -coverpkg=./... -coverprofile=bin/cover.out ./...
	@$(GO) tool cover -func=bin/cover.out | tail -n 1
	@[ -z "$(HTML)" ] || { $(GO) tool cover -html=bin/cover.out -o bin/cover.html && echo bin/cover.html; }

.PHONY: flake
flake: ## look for tests that fail now and then: all packages again and again, alone and under load
	testdata/flake

.PHONY: mutate
PKG ?= ./backend/state ./backend/policy ./views/... ./tui
N ?= 40
mutate: ## put N (40) small faults into each package of PKG and count which its tests notice
	testdata/mutate/mutate -n $(N) $(PKG)

.PHONY: race
race: ## run all tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short ./...

.PHONY: golden
golden: ## draw the golden frames anew; review them like code
	$(GO) test ./tui ./views ./views/logs -update

.PHONY: fuzz
FUZZTIME ?= 20s
fuzz: ## fuzz every fuzz target for FUZZTIME (20s) each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

.PHONY: bench
bench: ## run all benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@fmt=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$fmt" ] || { echo "not formatted: $$fmt"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

.PHONY: cross
cross: ## build for every platform
	@set -e; for p in $(PLATFORMS); do echo $$p; GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -o /dev/null ./cmd/opsdeck; done

.PHONY: measure
measure: build ## measure the console in a real terminal: first frame, CPU, bytes, memory, lag
	testdata/measure/measure $(BIN)

.PHONY: check
check: lint test ## lint and test
