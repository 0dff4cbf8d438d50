# Every command of this repository. Needs git, make, Go and npm; what else it
# takes is installed into node_modules and build.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# jsii runs on the pinned Node.js, not on the machine's.
export PATH := $(CURDIR)/node_modules/.bin:$(CURDIR)/build/tools:$(PATH)
export CDK_DISABLE_CLI_TELEMETRY := true

CDK_SYNTH := cdk synth --quiet --strict --no-notices
MODULES := . examples
EXAMPLES := $(notdir $(patsubst %/,%,$(dir $(wildcard examples/*/cdk.json))))

# What a synthesis depends on: everything but tests and texts.
SOURCES := $(wildcard $(shell git ls-files --cached --others --exclude-standard -- '*.go' '*.tmpl' '*.sh' go.mod go.sum cdk.json package-lock.json \
	':!*_test.go' ':!tools' ':!examples' ':!test' ':!bench'))

##@ Use

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: synth
synth: cdk.out/manifest.json ## Synthesize the app of cdk.json into cdk.out; warnings are errors.

# What a failed synthesis has written is deleted, so that the next one is real.
cdk.out/manifest.json: $(SOURCES) | node_modules/.package-lock.json
	@rm -f cdk.out/*.template.json
	$(CDK_SYNTH)
	@touch $@

.PHONY: examples
examples: $(EXAMPLES:%=build/examples/%/manifest.json) ## Synthesize each example into build/examples/NAME.

build/examples/%/manifest.json: $(SOURCES) examples/%/main.go examples/%/cdk.json examples/go.mod examples/go.sum | node_modules/.package-lock.json
	@rm -f $(@D)/*.template.json
	cd examples/$* && $(CDK_SYNTH) --output $(CURDIR)/$(@D)
	@touch $@

##@ Change

# The tests of the examples run programs whose sources the go command does not
# connect with them, so their results must not be cached.
.PHONY: test
test: node_modules/.package-lock.json ## Run all tests that need no more than Go and npm.
	go test ./...
	cd examples && go test -count=1 ./...

.PHONY: race
race: node_modules/.package-lock.json ## Run the tests that do without jsii under the race detector (needs a C compiler).
	go test -race $$(go list ./... | grep -vE '/(constructs|stacks|cmd/app|internal/cdktest|snapshottest|test/consumer)$$')

.PHONY: fuzz
FUZZTIME ?= 1m
fuzz: ## Run each fuzz test for a minute (FUZZTIME=10s for less).
	@grep -rlE '^func Fuzz' --include='*_test.go' internal lambda | while read -r file; do \
	  for name in $$(grep -oE '^func Fuzz[A-Za-z0-9_]*' "$$file" | cut -c6-); do \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "./$$(dirname "$$file")"; \
	  done; \
	done

.PHONY: bench
bench: ## Measure the webhook's program, see docs/benchmarks.md.
	go run ./bench/webhook

.PHONY: bench-synth
bench-synth: node_modules/.package-lock.json ## Measure the synthesis of the app, see docs/benchmarks.md.
	go run ./bench/synth

.PHONY: snapshots
snapshots: node_modules/.package-lock.json ## Rewrite the template snapshots and other golden files.
	go test ./stacks ./snapshottest ./internal/userdata -update
	cd examples && go test ./... -update

.PHONY: generate
generate: ## Rewrite docs/configuration.md and cdk.schema.json from the types.
	go test ./stacks/config -run Reference -update

.PHONY: fmt
fmt: build/tools/golangci-lint ## Format the Go files.
	@for module in $(MODULES); do (cd $$module && golangci-lint fmt); done

.PHONY: lint
lint: build/tools/golangci-lint build/tools/actionlint ## Check formatting, imports, the rules of .golangci.yml, and workflows.
	@for module in $(MODULES); do (cd $$module && golangci-lint run ./...); done
	actionlint

##@ Check, as CI does

.PHONY: ci
ci: work-tree-before lint tidy shellcheck test race synth examples cfn-lint reproducible consumer-test openapi-test emulator-test work-tree-after ## Run all checks but those that need root.

.NOTPARALLEL: ci

.PHONY: shellcheck
shellcheck: ## Check the shell scripts, those in rendered user data included.
	@$(call need,shellcheck,apt-get install shellcheck)
	shellcheck .ci/run $$(git ls-files '*.sh')

.PHONY: cfn-lint
cfn-lint: synth examples ## Run cfn-lint on every synthesized template.
	@$(call need,cfn-lint,pipx install cfn-lint==1.51.0)
	cfn-lint cdk.out/*.template.json $(EXAMPLES:%=build/examples/%/*.template.json)

.PHONY: consumer-test
consumer-test: node_modules/.package-lock.json ## Use the library as a released module: cached, trimmed, vendored.
	go test -count=1 -tags modes -run EveryMode -v ./test/consumer

.PHONY: openapi-test
openapi-test: tools/openapi/node_modules/.package-lock.json ## Hold each request to GitHub to GitHub's own OpenAPI descriptions.
	go test -count=1 -tags openapi -run 'Described?' ./internal/control/github

.PHONY: emulator-test
emulator-test: ## Try the programs with emulated EventBridge and DynamoDB (needs moto_server; takes minutes).
	@$(call need,moto_server,pipx install "moto[server]==5.2.1")
	go test -count=1 -timeout 30m -tags emulator ./test/emulator ./internal/control/ledger ./internal/control/registration

.PHONY: e2e
e2e: ## Run jobs from delivery to exit code with the real programs (needs root, unshare, moto_server).
	@$(call need,moto_server,pipx install "moto[server]==5.2.1")
	@$(call need,unshare,apt-get install util-linux)
	go test -count=1 -v -tags e2e ./test/e2e

.PHONY: firewall-test
firewall-test: ## Try the hosts' firewall in a real kernel (needs root, iproute2 and iptables).
	@$(call need,ip,apt-get install iproute2)
	@$(call need,iptables,apt-get install iptables)
	go test -count=1 -tags firewall ./test/firewall

.PHONY: image-test
image-test: ## Build the runner image and run jobs in it (needs root, buildah, debootstrap, jq).
	@$(call need,buildah,apt-get install buildah)
	@$(call need,debootstrap,apt-get install debootstrap)
	@$(call need,jq,apt-get install jq)
	go test -count=1 -v -timeout 30m -tags image ./runner-image ./test/image

.PHONY: vulncheck
vulncheck: build/tools/govulncheck ## Look for known vulnerabilities in what the code calls (needs vuln.go.dev).
	@for module in $(MODULES); do (cd $$module && govulncheck ./...); done

.PHONY: reproducible
reproducible: synth ## Synthesize from another folder, home and TMPDIR, and compare the bytes.
	bash test/reproducible.sh

.PHONY: tidy
tidy: ## Check that go.mod and go.sum are tidy.
	@for module in $(MODULES) $(patsubst %/go.mod,%,$(wildcard tools/*/go.mod)); do (cd $$module && go mod tidy -diff); done

# Nothing that CI runs may change a file that git knows, or leave one.
WORK_TREE := git status --porcelain && git diff

.PHONY: work-tree-before work-tree-after
work-tree-before:
	@mkdir -p build && { $(WORK_TREE); } > build/work-tree
work-tree-after:
	@diff build/work-tree <($(WORK_TREE)) || { echo 'the checks above changed the work tree' >&2; exit 1; }

.PHONY: clean
clean: ## Delete what make has made.
	rm -rf build cdk.out node_modules

# npm ci empties the folder first, through a link too: another work tree's then.
node_modules/.package-lock.json tools/openapi/node_modules/.package-lock.json: %node_modules/.package-lock.json: %package.json %package-lock.json
	@test ! -L $(@D) || { echo '$(@D) is a link, and npm ci would empty the folder behind it; remove the link' >&2; exit 1; }
	npm ci --prefix $(or $*,.) --no-audit --no-fund --loglevel=error
	@touch $@

# Each tool in a module of its own: their dependencies exclude each other, and
# none belongs into the library's go.mod.
build/tools/%: tools/%/go.mod tools/%/go.sum
	@mkdir -p build/tools
	cd tools/$* && go build -o $(CURDIR)/$@ tool

# $(call need,COMMAND,HOW TO INSTALL)
need = command -v $(1) >/dev/null || { echo '$(1) is missing; install it, for example with: $(2)' >&2; exit 1; }
