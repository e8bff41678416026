# DSIP in Swift. `make run` and `make test` need a Debian machine with Swift 6.1 or later and nothing else.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test lint format imports bench fuzz unit interop interop-libp2p interop-roaming browser conformance release soak soak-messages soak-kill soak-relay clean

# quic/1.0 where its libraries are (scripts/setup installs them).
QUIC := $$(pkg-config --exists libngtcp2 libngtcp2_crypto_gnutls gnutls 2>/dev/null && echo --traits QUIC || true)
SWIFT_FLAGS := --explicit-target-dependency-import-check error $(QUIC)
RELEASE_FLAGS := -c release --product dsip --static-swift-stdlib
RELEASE_BIN := .build/release/dsip
PYTHON := .venv/bin/python

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

run: ## Start a DSIP network on this machine and print the pages to open (Ctrl-C ends it)
	@scripts/setup run
	echo "==> Building dsip (the first build takes some minutes; later ones seconds)"
	swift build -c release --product dsip $(SWIFT_FLAGS)
	exec $(RELEASE_BIN) demo $(ARGS)

test: ## Install what tests need, then run every test: Swift, conformance vectors, fuzz smoke, interop, browser
	@scripts/setup test
	$(MAKE) --no-print-directory unit conformance
	echo "==> Fuzz entries, smoke run"
	.build/debug/dsip-fuzz --runs 3000
	$(MAKE) --no-print-directory interop browser
	echo "==> All tests passed"

unit:
	@echo "==> Building everything (the first build takes some minutes)"
	swift build --build-tests $(SWIFT_FLAGS)
	echo "==> Swift tests"
	# As many at a time as there are cores, in four parts: tests with sockets have deadlines, which pure ones and the simulations, each of
	# them busy on a core for long, would eat.
	mkdir -p .build
	export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=$$(nproc)
	# A seed that fails is to fail again: sets and dictionaries keep their order from run to run.
	export SWIFT_DETERMINISTIC_HASHING=1
	sockets='DSIPTransportTests|HostTests|DSIPRelayTests|RelayPushTests|DSIPAgentTests'
	# Those of QUIC by themselves: one of them looks at the memory of the process.
	run() { swift test --skip-build "$$@" $(SWIFT_FLAGS) --xunit-output .build/tests.xml 2>&1 | tee .build/tests.log; }
	list() { echo "==> Failed:"; grep -E '^✘|error:|Fatal' .build/tests.log | tail -40; }
	for part in "--skip=DSIPMessagingTests|^QUICTests|$$sockets" --filter=DSIPMessagingTests --filter=^QUICTests; do
	  run "$$part" || { list; exit 1; }
	done
	# Those with sockets and processes have a second chance, by themselves, where only a few fail: a machine may be busy. They are named.
	rm -f .build/tests-swift-testing.xml
	run "--filter=$$sockets" || {
	  list
	  failed=$$(scripts/failed-tests .build/tests-swift-testing.xml) || exit 1
	  echo "==> Once more, by themselves"
	  run "--filter=$$failed" || { list; exit 1; }
	  echo "==> Passed the second time: $$failed"
	}
	echo "==> Meeting by IPv6 multicast"
	scripts/in-namespace --lan swift test --skip-build --filter LocalDiscoveryHostTests $(SWIFT_FLAGS)

conformance:
	@vectors="$${DSIP_VECTORS:-../shared/vectors}"
	if [ -d "$$vectors/dsip" ]; then
	  for area in dsip cbor jcs json-parsing cose jose signal-x3dh-dr mls hpke noise libp2p multiformats ipns webpush; do
	    [ -d "$$vectors/$$area" ] || continue
	    echo "==> Conformance vectors in $$vectors/$$area"
	    .build/debug/dsip conformance "$$vectors/$$area"
	  done
	else
	  echo "==> No published vectors here (set DSIP_VECTORS); the project's own fixtures have been run"
	fi

interop:
	@echo "==> A conversation with the x3dh and doubleratchet packages of PyPI"
	$(PYTHON) -m pytest -q Interop/test_ratchet.py
	echo "==> Web Push with the http-ece, pywebpush and py-vapid packages of PyPI"
	$(PYTHON) -m pytest -q Interop/test_webpush.py
	echo "==> did:ethr and names of Ethereum with the py-evm, eth-tester and vyper packages of PyPI"
	$(PYTHON) -m pytest -q Interop/test_ethr.py Interop/test_ens.py
	echo "==> The BitTorrent DHT with the libtorrent package of PyPI"
	$(PYTHON) -m pytest -q Interop/test_mainline.py
	if [ -n "$(QUIC)" ]; then
	  echo "==> QUIC with the aioquic package of PyPI"
	  $(PYTHON) -m pytest -q Interop/test_quic.py
	fi

interop-libp2p: ## Connections over Noise and TLS, and a DHT of nine, with the libp2p package of PyPI
	@scripts/setup run
	swift build --product libp2p-peer $(SWIFT_FLAGS)
	LIBP2P_PEER="$$PWD/.build/debug/libp2p-peer" timeout 900 Interop/libp2p.sh

interop-roaming: ## A device changes networks under its signaling connection over QUIC: two network namespaces (as root)
	@scripts/setup test
	swift build --product roaming-peer $(SWIFT_FLAGS)
	Interop/roaming.sh .build/debug/roaming-peer

browser:
	@echo "==> Two browsers call each other (headless Chromium, network namespace with loopback only)"
	scripts/in-namespace $(PYTHON) -m pytest -q Tests/Web || {
	  echo "==> Once more, those that failed"
	  scripts/in-namespace $(PYTHON) -m pytest -q --last-failed Tests/Web
	}

lint: ## Check formatting and the direction of imports
	@swift format lint --strict --recursive --parallel Package.swift Sources Tests Fuzz Benchmarks/Package.swift Benchmarks/Sources
	scripts/check-imports

format: ## Format the tree in place
	@swift format --in-place --recursive --parallel Package.swift Sources Tests Fuzz Benchmarks/Package.swift Benchmarks/Sources

bench: ## Print performance ratios, each against a peer or a limit measured in the same run
	@scripts/setup run
	echo "==> Building the benchmarks and the relay they measure (release, linked statically against the Swift libraries)"
	build="swift build -c release --package-path Benchmarks --scratch-path .build-bench --static-swift-stdlib $(QUIC)"
	$$build --product dsip
	$$build --product dsip-bench
	.build-bench/release/dsip-bench --dsip .build-bench/release/dsip $(ARGS)

fuzz: ## Fuzz every decoder of peer input with libFuzzer, SECONDS_EACH (default 60) each
	@scripts/setup run
	swift build --product dsip-fuzz --scratch-path .build-fuzz -Xswiftc -sanitize=fuzzer -Xswiftc -DFUZZING \
	  -Xswiftc -parse-as-library -Xswiftc -use-ld=lld $(SWIFT_FLAGS)
	swift build --product dsip-fuzz $(SWIFT_FLAGS)
	for entry in $$(.build/debug/dsip-fuzz --list); do
	  echo "==> $$entry, $${SECONDS_EACH:-60} s"
	  DSIP_FUZZ_ENTRY=$$entry .build-fuzz/debug/dsip-fuzz -max_total_time=$${SECONDS_EACH:-60} -max_len=131072 -timeout=10 -print_final_stats=0 -verbosity=0
	done

soak: ## Run the simulated groups of MLS by the thousand, RUNS (default 3000) from SEED (default 1) on, for at most LIMIT seconds
	@scripts/setup run
	DSIP_RUNS=$${RUNS:-3000} DSIP_SEED=$${SEED:-1} DSIP_SECONDS=$${LIMIT:-86400} swift test -c release -Xswiftc -enable-testing --scratch-path .build-soak \
	  --filter SimulationTests $(SWIFT_FLAGS)

soak-messages: ## Run the simulated devices by the thousand, RUNS (default 1000) from SEED (default 1) on, for at most LIMIT seconds
	@scripts/setup run
	swift build -c release --scratch-path .build-soak --product message-soak $(SWIFT_FLAGS)
	SWIFT_DETERMINISTIC_HASHING=1 DSIP_RUNS=$${RUNS:-1000} DSIP_SEED=$${SEED:-1} DSIP_SECONDS=$${LIMIT:-86400} .build-soak/release/message-soak

soak-kill: ## Kill agents and relay without a word, ROUNDS (default 50) times: no message may be lost or doubled
	@scripts/setup test
	swift build --product dsip $(SWIFT_FLAGS)
	DSIP_KILL_ROUNDS=$${ROUNDS:-50} scripts/in-namespace $(PYTHON) -m pytest -q -s Tests/Web/test_kill.py

soak-relay: ## Send MESSAGES (default 100000) through one relay process: its memory at each tenth, the time of delivery, the rate
	@scripts/setup run
	build="swift build -c release --package-path Benchmarks --scratch-path .build-bench --static-swift-stdlib $(QUIC)"
	$$build --product dsip
	$$build --product dsip-bench
	.build-bench/release/dsip-bench soak --messages $${MESSAGES:-100000}

release: ## Build one release binary, linked statically against the Swift libraries, without its symbols (they stay beside it)
	@scripts/setup run
	swift build $(RELEASE_FLAGS) $(SWIFT_FLAGS)
	objcopy --only-keep-debug $(RELEASE_BIN) $(RELEASE_BIN).debug
	strip $(RELEASE_BIN)
	objcopy --add-gnu-debuglink=$(RELEASE_BIN).debug $(RELEASE_BIN)
	ls -l $(RELEASE_BIN)

clean: ## Remove what was built
	@rm -rf .build .build-bench .build-fuzz .build-soak .venv
