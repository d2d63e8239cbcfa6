# The commands of the project. `make check` is the one to remember.

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.1.4

.PHONY: build check packages lint race unit tokens prove vulnerabilities bench profile

build:
	mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -o bin ./cmd/...

# Everything a change must pass: packages for the real servers, lint, every test.
check: packages lint race unit tokens

# The Debian packages of the real mail servers and tools that the tests use. Without the right to install, the tests
# that need them skip, or fail where CI=true.
packages:
	sh test/packages.sh

lint:
	$(GO) mod tidy -diff
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	$(GO) vet ./...
	$(GO) vet -tags faults ./...
	CGO_ENABLED=1 $(GO) vet -tags pkcs11 ./internal/keys
	$(GO) run $(STATICCHECK) ./...

# The parts that run side by side, under the race detector.
race:
	$(GO) test -race -short -count=1 ./internal/... ./unwrap ./verifyhdr ./deliver

unit:
	@test -d ../shared/corpora || test -n "$$PAPERKNIFE_SHARED" || echo "no ../shared/corpora: tests that read other people's mail skip"
	$(GO) test -count=1 ./...

# The build with PKCS #11 tokens, which asks for a C compiler, against SoftHSM.
tokens:
	CGO_ENABLED=1 $(GO) build -tags pkcs11 -o /dev/null ./cmd/lmtpd
	CGO_ENABLED=1 $(GO) test -tags pkcs11 -count=1 -run Token ./internal/keys

# What is too long for check: every target fuzzed, every system call broken and cut short. It writes docs/prove.md. Root, for tracing and
# for small file systems.
FUZZTIME ?= 10m
FUZZATONCE ?= 1

prove: packages
	$(GO) run ./test/prove/all -fuzztime $(FUZZTIME) -atonce $(FUZZATONCE)

# Needs the vulnerability database, so it is run by hand.
vulnerabilities:
	$(GO) run $(GOVULNCHECK) ./...

# Side by side with Dovecot, maildrop and openssl: 12 minutes, and docs/bench.md. BENCH_QUICK=1 makes it 2, and no file.
bench:
	sh bench/packages.sh
	$(GO) run ./bench/compare $(if $(BENCH_QUICK),,-out docs/bench.md)

# The functions that cost most, by perf.
profile:
	sh bench/packages.sh
	$(GO) run ./bench/compare -profile
