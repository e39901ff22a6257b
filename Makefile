# Build, package and check AaaU. `make` alone lists the targets.

.DEFAULT_GOAL := help
# go uses every core by itself, and `make check` has to end with go test's own summary.
.NOTPARALLEL:

# A Go unpacked where its instructions say is found even when PATH does not name it (sudo).
export PATH := $(PATH):/usr/local/go/bin
# go's own version stamp fails in a clone that belongs to somebody else; VERSION does the stamping.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

need-go = command -v go >/dev/null || \
	{ echo 'there is no go on PATH or in /usr/local/go/bin: please install Go' >&2; exit 1; }

# Tag v1.2.0-rc1 is 1.2.0~rc1; three commits later, with changes, 1.2.0~rc1+3.g1a2b3c4+dirty;
# without a tag 0.1.0~dev+g1a2b3c4, without git 0.1.0~dev: all of them right for dpkg and rpm.
# Naming .git skips git's check of who owns the clone, and never finds a repository around ours.
git := git --git-dir=.git --work-tree=.
VERSION := $(shell { $(git) describe --tags --match 'v[0-9]*.*' --always --dirty 2>/dev/null || echo; } | \
	sed -E 's/-dirty$$/+dirty/; s/-([0-9]+)-(g[0-9a-f]+)/+\1.\2/; s/-/~/g; /^v/!s/^/0.1.0~dev+g/; s/^v//; s/\+g$$//')
ARCH ?= $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))
# Packages made twice from one commit are equal.
export SOURCE_DATE_EPOCH ?= $(or $(shell $(git) log -1 --format=%ct 2>/dev/null),1767225600)

PREFIX      ?= /usr/local
bindir      ?= $(PREFIX)/bin
sbindir     ?= $(PREFIX)/sbin
libexecdir  ?= $(PREFIX)/libexec
unitdir     ?= $(PREFIX)/lib/systemd/system
userunitdir ?= $(PREFIX)/lib/systemd/user
generatordir ?= $(PREFIX)/lib/systemd/system-generators
sysusersdir ?= $(PREFIX)/lib/sysusers.d
tmpfilesdir ?= $(PREFIX)/lib/tmpfiles.d
catalogdir  ?= $(PREFIX)/lib/systemd/catalog
vendordir   ?= $(PREFIX)/lib/aaau
docdir      ?= $(PREFIX)/share/doc/aaau
mandir      ?= $(PREFIX)/share/man
sysconfdir  ?= /etc

# What is installed, as source=destination. install, uninstall, the packages and the tarball all
# go by these lists.
programs := build/bin/aaau=$(bindir)/aaau \
	build/bin/aaau-server=$(sbindir)/aaau-server \
	build/bin/aaau-launcher=$(libexecdir)/aaau/aaau-launcher
scripts := packaging/aaau-generator=$(generatordir)/aaau-generator
units := $(foreach f,$(wildcard systemd/*.socket systemd/*.service systemd/*.slice systemd/*.d/*.conf),\
	$f=$(unitdir)/$(f:systemd/%=%))
userunits := $(foreach f,$(wildcard systemd/user/*.service),$f=$(userunitdir)/$(notdir $f))
data := $(foreach f,$(wildcard sysusers.d/*.conf),$f=$(sysusersdir)/$(notdir $f)) \
	$(foreach f,$(wildcard tmpfiles.d/*.conf),$f=$(tmpfilesdir)/$(notdir $f)) \
	packaging/aaau.catalog=$(catalogdir)/aaau.catalog \
	packaging/access.conf=$(vendordir)/access.conf \
	packaging/aaau.conf=$(docdir)/aaau.conf \
	$(foreach f,$(wildcard packaging/profiles.d/*.conf),$f=$(vendordir)/profiles.d/$(notdir $f)) \
	$(foreach f,$(wildcard docs/man/*.?),$f=$(mandir)/man$(subst .,,$(suffix $f))/$(notdir $f)) \
	$(foreach f,$(wildcard README.md CHANGELOG.md LICENSE docs/*.md docs/*.json),$f=$(docdir)/$f)
# What is the administrator's, once it is there: nothing writes over it, and uninstall leaves it if it was changed.
conf := $(sysconfdir)/aaau/aaau.conf
confdirs := $(sysconfdir)/aaau $(foreach d,aaau.conf.d access.conf.d profiles.d,$(sysconfdir)/aaau/$d)
# The directories to remove if empty, deepest first: ours, then those that a new /usr/local lacks.
dirs := $(sort $(filter %.d,$(patsubst %/,%,$(foreach f,$(units),$(dir $(lastword $(subst =, ,$f))))))) \
	$(libexecdir)/aaau $(vendordir)/profiles.d $(vendordir) $(docdir)/docs $(docdir) $(filter-out $(sysconfdir)/aaau,$(confdirs)) $(sysconfdir)/aaau \
	$(unitdir) $(userunitdir) $(generatordir) $(catalogdir) $(patsubst %/,%,$(dir $(unitdir))) $(sysusersdir) $(tmpfilesdir) $(libexecdir) $(dir $(docdir)) \
	$(mandir)/man1 $(mandir)/man8 $(mandir)

sources  := go.mod go.sum $(shell find cmd pkg -name testdata -prune -o ! -name '*_test.go' -print 2>/dev/null)
# With their directories, so that a removed file counts as a change.
shipped  := $(foreach f,$(scripts) $(units) $(userunits) $(data),$(firstword $(subst =, ,$f))) \
	$(wildcard systemd systemd/*.d systemd/user sysusers.d tmpfiles.d packaging/profiles.d docs docs/man)
binaries := $(foreach f,$(programs),$(firstword $(subst =, ,$f)))
packages := ./cmd/... ./pkg/... ./test/...
godirs    = $(wildcard cmd pkg test)

deb     := dist/aaau_$(VERSION)_$(ARCH).deb
rpm     := dist/aaau-$(VERSION)-1.$(patsubst amd64,x86_64,$(patsubst arm64,aarch64,$(ARCH))).rpm
tarball := dist/aaau-linux.tar.gz

# Tools of the workshop, not of the program: kept out of go.mod.
nfpm        := build/tools/nfpm-v2.45.0
staticcheck := build/tools/staticcheck-v0.8.2

.PHONY: help build install uninstall deb dist try fmt bench clean FORCE \
	deps deps-check deps-try deps-trixie deps-vm have-go \
	check check-fmt check-vet check-lint check-unit check-system check-race check-vm check-trixie soak

help: ## list these targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' Makefile | while IFS='	' read -r t d; do printf '  %-14s%s\n' "$$t" "$$d"; done

# Before anything else that they need.
bench fmt check check-fmt check-vet check-lint check-unit check-system check-race check-vm check-trixie soak: have-go
have-go:
	@$(need-go)

## Building and installing

build: $(binaries) ## build the three programs into build/bin

$(binaries) &: $(sources) build/version
	@$(need-go)
	@echo 'building the programs, version $(VERSION)' >&2
	@CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -tags urfave_cli_no_docs -o build/bin/ \
		-ldflags '-s -w -X github.com/AgentaaU/AaaU/pkg/version.Version=$(VERSION)' \
		-ldflags './cmd/aaau=-s -w -X github.com/AgentaaU/AaaU/pkg/version.Version=$(VERSION) -E main.entry' \
		$(addprefix ./cmd/,$(notdir $(binaries)))
	@touch $(binaries)

# Written only when the version or the architecture changes; what is older is then built again.
build/version: FORCE
	@mkdir -p build
	@echo '$(VERSION) $(ARCH)' | cmp -s - $@ || echo '$(VERSION) $(ARCH)' >$@

install: build ## install below DESTDIR= and PREFIX= (default /usr/local)
	@umask 022; set -e; cp() { install -D -m "$$1" "$${2%%=*}" "$(DESTDIR)$${2#*=}"; }; \
	for f in $(programs) $(scripts); do cp 755 "$$f"; done; \
	for f in $(units) $(userunits) $(data); do cp 644 "$$f"; done; \
	for f in $(units) $(userunits); do sed -i 's|/usr/bin/aaau |$(bindir)/aaau |g; s|/usr/sbin/aaau-|$(sbindir)/aaau-|g; s|/usr/libexec/aaau/|$(libexecdir)/aaau/|g' "$(DESTDIR)$${f#*=}"; done; \
	install -d -m 755 $(foreach d,$(confdirs),"$(DESTDIR)$d"); \
	[ -e "$(DESTDIR)$(conf)" ] || install -m 644 packaging/aaau.conf "$(DESTDIR)$(conf)"
ifeq ($(DESTDIR),)
	@echo 'next, as root: systemd-sysusers && systemd-tmpfiles --create aaau.conf && journalctl --update-catalog && systemctl daemon-reload && systemctl enable --now aaau.socket'
endif

uninstall: ## remove what install put there (same DESTDIR= and PREFIX=)
	@for f in $(programs) $(scripts) $(units) $(userunits) $(data); do rm -f "$(DESTDIR)$${f#*=}"; done
	@if cmp -s packaging/aaau.conf "$(DESTDIR)$(conf)"; then rm -f "$(DESTDIR)$(conf)"; fi
	@for d in $(dirs); do [ ! -d "$(DESTDIR)$$d" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$d"; done
ifneq ($(DESTDIR),)
	@# A tree that holds no other file was made for this, down to bin and etc.
	@[ ! -d "$(DESTDIR)" ] || [ -n "$$(find "$(DESTDIR)" ! -type d -print -quit)" ] || \
		find "$(DESTDIR)" -mindepth 1 -depth -type d -empty -delete
endif

## Packages

deb: $(deb) ## build only the .deb, into dist/

dist: $(deb) $(rpm) $(tarball) ## build the deb, the rpm and aaau-linux.tar.gz, into dist/

# The tree that all three hold.
build/root.stamp: $(binaries) $(shipped) Makefile
	@rm -rf build/root
	@$(MAKE) --no-print-directory install DESTDIR=build/root PREFIX=/usr
	@find build/root -exec touch -hd @$(SOURCE_DATE_EPOCH) {} +
	@touch $@

# The one package of its kind in dist/ is the newest.
$(deb) $(rpm): build/root.stamp packaging/nfpm.yaml $(wildcard packaging/*.sh) $(nfpm)
	@mkdir -p dist; rm -f dist/*$(suffix $@)
	@VERSION='$(VERSION)' ARCH='$(ARCH)' $(nfpm) package -f packaging/nfpm.yaml -t $@ >/dev/null
	@echo 'made $@' >&2

# Without aaau.conf, which an administrator may have changed: the one in the documentation is the same. And
# without the directories that any system has: unpacking must not change their modes, or turn a
# /usr/sbin that is a link to bin into a directory.
$(tarball): build/root.stamp
	@mkdir -p dist
	@cd build/root && find . ! -type d -o -path '*aaau*' | grep -vx './etc/aaau/aaau\.conf' | LC_ALL=C sort | \
		tar -I 'gzip -9n' -cf '$(CURDIR)/$@' --no-recursion --owner=0 --group=0 --numeric-owner -T -
	@echo 'made $@' >&2

# The package of a later version, for tests of upgrades: the same sources, but that its tapes are of a
# version which ours does not know.
later := build/later.deb
$(later): $(deb)
	@rm -rf build/later $@; mkdir -p build/later/build; ln -s ../../tools build/later/build/tools
	@cp -a $(wildcard cmd pkg systemd sysusers.d tmpfiles.d packaging docs *.md) LICENSE Makefile go.mod go.sum build/later/
	@sed -i 's/^\tversion = 1$$/\tversion = 2/w /dev/stderr' build/later/pkg/tape/header.go 2>&1 | grep -q . || \
		{ echo 'there is no version of tapes in pkg/tape/header.go' >&2; exit 1; }
	@$(MAKE) --no-print-directory -C build/later deb VERSION='$(VERSION)+later'
	@mv build/later/dist/*.deb $@; rm -rf build/later

# A bridge that records no output, for the tests to compare ours with: the same sources, but for that.
unrecorded := build/unrecorded
$(unrecorded): $(binaries)
	@sed 's/^\tfor upTo := c\.Head(); .*/\tc.Move(c.Head())\n\treturn nil\n&/' pkg/bridge/record.go >build/record.go
	@! cmp -s pkg/bridge/record.go build/record.go || { echo 'pkg/bridge/record.go no more reads a tape as it did' >&2; exit 1; }
	@echo '{"Replace": {"pkg/bridge/record.go": "build/record.go"}}' >build/overlay.json
	@CGO_ENABLED=0 go build -overlay build/overlay.json -o $@ ./cmd/aaau-server
	@rm build/record.go build/overlay.json

# The programs as they tell of data races. Static, as they run in a root of another system.
race := $(patsubst build/bin/%,build/race/%,$(binaries))
$(race) &: $(sources) build/version
	@echo 'building the programs with the race detector' >&2
	@CGO_ENABLED=1 go build -race -tags urfave_cli_no_docs,netgo,osusergo -o build/race/ \
		-ldflags '-linkmode external -extldflags -static -X github.com/AgentaaU/AaaU/pkg/version.Version=$(VERSION)' ./cmd/...

$(nfpm): build/tools/nfpm-%:
	@$(need-go)
	@echo 'building nfpm $*, which makes the packages' >&2
	@GOBIN='$(CURDIR)/build/tools' go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$*
	@mv build/tools/nfpm $@

$(staticcheck): build/tools/staticcheck-%:
	@$(need-go)
	@echo 'building staticcheck $*' >&2
	@GOBIN='$(CURDIR)/build/tools' go install honnef.co/go/tools/cmd/staticcheck@$*
	@mv build/tools/staticcheck $@

## Trying

# As it was typed, for the shell in the sandbox: neither make nor the shell here may look into it.
unexport CMD
try: export TRY = $(value CMD)
try: deps-try deb ## be at `aaau connect` in a throwaway systemd, or run CMD='...' there
	@if [ -n "$$TRY" ]; then \
		test/sandbox/run --user operator -- bash -c "cd; $$TRY"; \
	else \
		test/sandbox/run --user operator -- bash -c "cd; exec aaau connect"; \
	fi

bench: deps-try deb ## measure start, echo and throughput (BENCHFLAGS=)
	@# Static, as our programs are: exec is part of what is measured.
	CGO_ENABLED=0 go run ./test/bench $(BENCHFLAGS)

## Checking, cheap things first

fmt: $(staticcheck) ## format, then vet and staticcheck
	gofmt -w $(godirs)
	go vet $(packages)
	$(staticcheck) $(packages)

check: deps-check check-fmt check-vet check-lint check-unit check-system check-race check-vm check-trixie ## everything below: what CI runs

deps: deps-check deps-vm deps-trixie ## install what the checks need and the machine lacks

deps-check:
	@test/deps check
	@test/deps agents

deps-try:
	@test/deps try

deps-trixie:
	@test/deps trixie

deps-vm:
	@test/deps vm

check-fmt: ## formatting of the sources and go.mod
	@echo 'gofmt -l $(godirs)'
	@bad=$$(gofmt -l $(godirs)) || exit; [ -z "$$bad" ] || { echo 'not formatted, run make fmt:' $$bad >&2; exit 1; }
	go mod tidy -diff

check-vet: ## go vet
	go vet $(packages)

check-lint: $(staticcheck) ## staticcheck
	$(staticcheck) $(packages)

check-unit: ## unit tests, with the race detector
	CGO_ENABLED=1 go test -race -timeout 20m ./pkg/... ./cmd/...

check-system: deb $(later) $(unrecorded) ## tests on a real systemd
	go test -count=1 ./test/bench ./test/layers
	test/parallel

# A few that have many at work in each program; RUN=. for all, but what is measured, or is too much for
# programs ten times as slow.
check-race: RUN ?= ^Test(RepositoriesWithinMayBeNamed|LocksComeBack|BridgeDies|Replay)$$
check-race: deb $(later) $(race) ## a few of them with programs that tell of data races (RUN=)
	AAAU_RACE=1 go test -count=1 -timeout 90m -run '$(RUN)' -skip '^Test(IdleBridge|Throughput.*|ViewersCostNothing|BridgeIsKilled|TerminalAfterManyDeaths|ManySessionsOutliveTheirBridges|StrangersForAWhile|Record)$$' ./test/system

soak: deb $(unrecorded) ## for long what the checks do for a while: hostile input, 1,000 bridges killed, 400 sessions, idling; and figures
	AAAU_FUZZ_TIME=$(or $(AAAU_FUZZ_TIME),10m) AAAU_KILLS=$(or $(AAAU_KILLS),1000) AAAU_MANY=$(or $(AAAU_MANY),400) AAAU_IDLE=$(or $(AAAU_IDLE),10m) AAAU_EXACT=1 \
		go test -count=1 -timeout 0 -v -run '^Test(StrangersForAWhile|BridgeIsKilled|TerminalAfterManyDeaths|ManySessionsOutliveTheirBridges|IdleBridge|Throughput.*|ViewersCostNothing|GitlinkIsUndoneInTime)$$' ./test/system

check-vm: deb deps-vm ## tests that need a kernel of their own, in a virtual machine
	go test -count=1 -timeout 30m ./test/vm

# But for what is the same on every system: figures, what strangers send, what screens show, how a replay goes.
check-trixie: deb $(later) deps-trixie ## the tests of check-system on Debian 13
	AAAU_SANDBOX_ROOT=build/roots/trixie test/parallel '^Test(IdleBridge|Throughput.*|ViewersCostNothing|StrangersForAWhile|GoldenScreens|RecordRate|TimePasses)$$'

clean: ## remove build/ and dist/
	rm -rf build dist
