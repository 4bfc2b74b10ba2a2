# What there is to do here: make, with no target, lists it.
# A machine needs Go, git, make and gcc (for the race detector); the rest is built from
# pinned sources, once, into the user's cache.

GO ?= go

# What a filter makes of the output must not hide a failure.
SHELL = bash
.SHELLFLAGS = -o pipefail -c

# Where a build comes from. A tarball without .git is a development build of unknown date.
VERSION ?= $(or $(shell git describe --tags --match 'v*' --dirty 2>/dev/null),dev)
COMMIT  ?= $(or $(shell git rev-parse HEAD 2>/dev/null),unknown)
DATE    ?= $(or $(shell git log -1 --format=%cI 2>/dev/null),unknown)

# Without a date there is none to give to files: the first day of 1980, which ZIP knows.
EPOCH = $(or $(shell git log -1 --format=%ct 2>/dev/null),315532800)

BUILDFLAGS = -trimpath -buildvcs=false \
	-ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)'

# Where make build leaves the command.
OUT ?= bin/harvest

# Packages with tests against the real servers.
E2E = $(sort $(patsubst %/,./%,$(dir $(shell grep -rlE --include='*_test.go' --exclude-dir=browser '^//go:build .*e2e' \
	$(filter-out bench/ tools/ bin/ dist/,$(wildcard */))))))

.NOTPARALLEL:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##

.PHONY: demo
demo: ## Show harvest at work, from a key's rotation to a login
	$(GO) run ./examples/demo

.PHONY: build
build: ## Build bin/harvest
	CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -o $(OUT) ./cmd/harvest

.PHONY: install
install: ## Install harvest where go install puts commands
	CGO_ENABLED=0 $(GO) install $(BUILDFLAGS) ./cmd/harvest

.PHONY: package
package: ## Build the deb and rpm packages, and install, upgrade and remove them in a Debian root
	tools/package

.PHONY: image
image: ## Build a container image in dist/, and run it
	$(MAKE) --no-print-directory build GOOS=linux OUT=bin/image/harvest
	tools/image '$(VERSION)' '$(COMMIT)' '$(EPOCH)'

.PHONY: snapshot
snapshot: ## Build in dist/ what a release has: archives, packages, SBOMs and checksums for every system
	tools/goreleaser-run release --snapshot --clean --parallelism 2

.PHONY: release
release: ## Build the same for the tag that is checked out, and draft a release on GitHub (GITHUB_TOKEN; RELEASEFLAGS=--skip=publish drafts none)
	@grep -q '^## \[$(VERSION:v%=%)\] - ' CHANGELOG.md || { echo "release: CHANGELOG.md has no section for $(VERSION:v%=%)" >&2; exit 1; }
	tools/goreleaser-run release --clean --parallelism 2 $(RELEASEFLAGS)

.PHONY: build-info
build-info:
	@printf "VERSION='%s' COMMIT='%s' DATE='%s' SOURCE_DATE_EPOCH='%s'\\n" \
		'$(VERSION)' '$(COMMIT)' '$(if $(filter unknown,$(DATE)),1980-01-01T00:00:00Z,$(DATE))' '$(EPOCH)'

##

# Four packages at a time, and four tests of each: most wait for something most of the time.
.PHONY: test
test: ## Run the tests, with the race detector, each fuzz target for FUZZTIME (1s), docs-check and browser-check
	$(GO) test -race -p 4 -parallel 4 -timeout 5m ./...
	GO='$(GO)' tools/fuzz $(or $(FUZZTIME),1s)
	@$(MAKE) --no-print-directory docs-check browser-check

.PHONY: docs-check
docs-check: ## Hold what the command writes as JSON against docs/schema
	cd docs/schema && $(GO) test -count=1 ./...

# Without the race detector: the tests wait for the browser and for harvest, which are
# processes of their own, and it makes the pictures take eight times as long.
.PHONY: browser-check
browser-check: ## Look at the status page with Chromium, which is installed where root may; else it is skipped
	cd e2e/browser && ../../tools/chromium $(GO) test -count=1 -timeout 10m .

# Not vaultsync's own: they run in bubbles of testing/synctest, where time stands still, and
# the module's source of entropy, which measures time, refuses to start there. The command's
# tests run its code.
.PHONY: fips
fips: ## Run the tests on Go's FIPS 140-3 module (GODEBUG=fips140=on)
	GODEBUG=fips140=on $(GO) test -timeout 5m ./jwks ./pem ./cmd/... ./examples/...

.PHONY: e2e
e2e: lab ## Run the tests against real Vault and Nomad servers
	HARVEST_LAB=current $(GO) test -race -tags e2e -count=1 -p 1 -timeout 20m $(E2E)

.PHONY: e2e-floor e2e-older e2e-newest
e2e-floor e2e-older e2e-newest: e2e-%: lab-% ## The same, against another pair of servers
	HARVEST_LAB=$* $(GO) test -race -tags e2e -count=1 -p 1 -timeout 20m $(E2E)

# The pairs that e2e-matrix tries. openbao is the floor's Vault behind a proxy that answers as
# OpenBao does.
ALLPAIRS = floor older current newest openbao
PAIRS ?= $(ALLPAIRS)

# Without the race detector, which takes most of the time and says nothing about servers.
.PHONY: e2e-matrix
e2e-matrix: ## The same, against all PAIRS one after the other, into the table of docs/versions.md (RUN='^TestX$$': these again)
	@mkdir -p dist/matrix
	@$(if $(RUN),,rm -f $(PAIRS:%=dist/matrix/%.json))
	@for pair in $(PAIRS); do \
		if [ $$pair = openbao ]; then lab=floor as=openbao; else lab=$$pair as=; fi; \
		internal/lab/build $$lab && echo "the tests against $$pair" && begin=$$SECONDS && \
		{ HARVEST_LAB=$$lab HARVEST_AS=$$as $(GO) test -json -tags e2e -count=1 -p 1 -timeout 40m $(RUN:%=-run '%') $(E2E) >>dist/matrix/$$pair.json || true; } && \
		echo "took $$((SECONDS - begin)) s" || exit 1; \
	done
	$(GO) run ./e2e/matrix -servers docs/versions.md $$(for pair in $(ALLPAIRS); do ls dist/matrix/$$pair.json 2>/dev/null; done)

.PHONY: browser
browser: lab ## Look at the status page while a real Nomad rotates its key, as browser-check does
	cd e2e/browser && HARVEST_LAB=current ../../tools/chromium $(GO) test -race -tags e2e -count=1 -timeout 10m .

.PHONY: pictures
pictures: ## Take the pictures of the status page for the documentation
	cd e2e/browser && HARVEST_PICTURES='$(CURDIR)/docs/img' ../../tools/chromium $(GO) test -count=1 -timeout 10m -run TestPictures .

.PHONY: overview
overview: ## Draw the picture at the top of the README again
	$(GO) test -count=1 ./docs/img -update

.PHONY: cast
cast: lab ## Play make demo on real servers, and draw what it prints for the README
	$(GO) test -count=1 -run TestCast ./examples/demo -update

.PHONY: soak
soak: e2e-matrix kills convergence history versions watch-scale ## Every pair of servers, 200 kills, ten harvesters on one mount, ten minutes of faults, two versions, 1,000 sources, then each fuzz target for FUZZTIME (30m)
	GO='$(GO)' tools/fuzz $(or $(FUZZTIME),30m)

.PHONY: trust-gap
trust-gap: lab ## Measure how long a rotated key isn't trusted, over ROUNDS (200) rotations
	HARVEST_LAB=current HARVEST_ROUNDS=$(or $(ROUNDS),200) $(GO) test -tags e2e -count=1 -timeout 60m -v \
		-run 'TestTrustGap|TestFirstLogins' ./e2e | grep -E '^(---|ok|FAIL|PASS)|p50|harvest watch|floor|cron'

.PHONY: kills
kills: lab ## Kill a sync (kill -9) at KILLS (200) random instants, and look at what it left
	HARVEST_LAB=current HARVEST_KILLS=$(or $(KILLS),200) $(GO) test -tags e2e -count=1 -timeout 60m -v \
		-run 'TestKill$$' ./e2e | grep -E '^(---|ok|FAIL|PASS)|syncs killed|Error'

.PHONY: watch-scale
watch-scale: ## Measure harvest watch with SOURCES (1000), idle for IDLE (2m), over CHANGES (100000)
	@mkdir -p dist
	HARVEST_SOURCES=$(or $(SOURCES),1000) HARVEST_IDLE=$(or $(IDLE),2m) HARVEST_CHANGES=$(or $(CHANGES),100000) \
		$(GO) test -count=1 -timeout 3h -artifacts -outputdir '$(CURDIR)/dist' -v ./e2e/scale

.PHONY: convergence
convergence: lab ## Count the updates that ten harvesters on one mount lose each other, over ROUNDS (100) rotations of each
	HARVEST_ROUNDS=1500 $(GO) test -count=1 -timeout 60m -v -run TestModel ./vaultsync
	HARVEST_LAB=current HARVEST_ROUNDS=$(or $(ROUNDS),100) $(GO) test -tags e2e -count=1 -timeout 60m -v -run TestConvergence ./e2e

# Another version of harvest: the last release or, while there is none, what was a hundred commits ago.
OTHER ?= $(or $(shell git describe --tags --match 'v*' --abbrev=0 HEAD~1 2>/dev/null),HEAD~100)

.PHONY: versions
versions: lab ## Let another version of harvest (OTHER) and this one share a mount, and change places
	rm -rf dist/other && mkdir -p dist/other && git archive $(OTHER) | tar -x -C dist/other
	cd dist/other && CGO_ENABLED=0 $(GO) build -ldflags '-X main.version=$(OTHER)' -o harvest-other ./cmd/harvest
	HARVEST_LAB=current HARVEST_OTHER='$(CURDIR)/dist/other/harvest-other' $(GO) test -tags e2e -count=1 -timeout 20m -v -run 'TestTwoVersions$$' ./e2e

.PHONY: history
history: lab ## Let five harvesters, three Vaults and all faults make a history for LASTING (10m), decide over it, and write docs/reliability.md's figures
	@mkdir -p dist
	HARVEST_LAB=current HARVEST_HISTORY=$(or $(LASTING),10m) $(GO) test -json -tags e2e -count=1 -timeout 60m \
		-run 'TestHistory$$|TestNomadServers$$|TestRegionPartitioned$$' ./e2e >dist/history.json || true
	$(GO) run ./e2e/matrix -figures docs/reliability.md dist/history.json

.PHONY: bench
bench: ## Compare with other ways to the same end, over ROUNDS (10) of TABLES (all); writes bench/RESULTS.md
	cd bench && $(GO) run . -rounds $(or $(ROUNDS),10) -tables '$(TABLES)'

.PHONY: bench-report
bench-report: ## Write bench/RESULTS.md and its charts again, from what was measured
	cd bench && $(GO) run . -report

.PHONY: bench-check
bench-check: ## Check that a conversion takes no more allocations, nor twice the time, than is recorded
	cd bench && $(GO) test ./... && $(GO) run . -check

.PHONY: bench-record
bench-record: ## Record what bench-check compares with
	cd bench && $(GO) run . -record

.PHONY: lab
lab: ## Build the servers: Vault, Nomad and Consul (half an hour, once)
	internal/lab/build current

.PHONY: lab-floor lab-older lab-newest
lab-floor lab-older lab-newest: lab-%: ## Build another pair of servers
	internal/lab/build $*

##

.PHONY: check
check: rules api-check vet tidy format lint project promql vuln reproducible ## Everything that reads the code without running it

.PHONY: rules
rules: ## Check that imports run down the house that CONTRIBUTING.md draws, and that tests don't sleep
	GO='$(GO)' tools/rules

.PHONY: api
api: ## List the packages' interfaces anew, in docs/api
	GO='$(GO)' tools/api

.PHONY: api-check
api-check: ## Check that docs/api lists the packages' interfaces as they are
	GO='$(GO)' tools/api -check

.PHONY: vet
vet: ## Run go vet, on the tests against real servers too
	$(GO) vet ./...
	$(GO) vet -tags e2e ./...
	cd bench && $(GO) vet ./...
	cd docs/schema && $(GO) vet ./...
	cd e2e/browser && $(GO) vet . && $(GO) vet -tags e2e .

.PHONY: tidy
tidy: ## Check that go.mod and go.sum are tidy
	$(GO) mod tidy -diff
	cd bench && $(GO) mod tidy -diff
	cd docs/schema && $(GO) mod tidy -diff
	cd e2e/browser && $(GO) mod tidy -diff

.PHONY: format
format: ## Check the formatting
	@dir=$$(tools/install golangci-lint) && echo golangci-lint fmt --diff && "$$dir/golangci-lint" fmt --diff

.PHONY: fmt
fmt: ## Format the code
	@dir=$$(tools/install golangci-lint) && "$$dir/golangci-lint" fmt

.PHONY: lint
lint: ## Run the linters that .golangci.yml chooses
	@dir=$$(tools/install golangci-lint) && echo golangci-lint run && "$$dir/golangci-lint" run --allow-serial-runners && \
		for module in bench docs/schema e2e/browser; do echo cd $$module, golangci-lint run && \
			(cd $$module && "$$dir/golangci-lint" run --allow-serial-runners) || exit 1; done

.PHONY: systems
systems: ## Check that harvest and its tests compile for every system that a release has
	@set -e; for system in linux/arm64 darwin/arm64 windows/amd64 freebsd/amd64; do \
		echo "go vet for $$system" && CGO_ENABLED=0 GOOS=$${system%/*} GOARCH=$${system#*/} $(GO) vet ./...; done

.PHONY: reproducible
reproducible: ## Check that two builds of the same sources are the same, byte for byte
	GO='$(GO)' tools/reproducible

.PHONY: project
project: ## Check the workflows, Dependabot's list of modules and the release's configuration
	tools/project

.PHONY: promql
promql: ## Check the alert rules, and parse the dashboard's queries
	@dir=$$(tools/install promql) && "$$dir/promql" examples/prometheus/*.yml examples/grafana/*.json

.PHONY: vuln
vuln: ## Look for known vulnerabilities that the code reaches
	tools/vulncheck ./...

.PHONY: manual
manual: ## Write the manual pages in docs/man anew, from the command's definitions
	$(GO) test -count=1 -run 'TestManual' ./cmd/harvest -update

.PHONY: tools
tools: ## Build the pinned tools (the targets above do, when they need them)
	@tools/install golangci-lint promql vuln

.PHONY: clean
clean: ## Remove what was built here; the caches stay
	rm -rf bin dist
