package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// buildTags are those of xcaddy.sh: what is tested is what ships.
const buildTags = "nobadger,nomysql,nopgx"

// The environment of a test binary: which mutant is on, and where to note the
// mutants that were reached.
const (
	envMutant = "PORTCULLIS_MUTANT"
	envTrace  = "PORTCULLIS_MUTANT_TRACE"
)

// runtimeSource is added to the package. It allocates nothing while a test runs,
// so that tests that count allocations hold.
const runtimeSource = `package %s

import (
	"os"
	"strconv"
	"sync"
)

var (
	mutantOn, _ = strconv.Atoi(os.Getenv(%q))
	mutantTrace = os.Getenv(%q)
	mutantMu    sync.Mutex
	mutantSeen  = map[int]bool{}
)

func mutantIsOn(id int) bool {
	if mutantTrace != "" {
		mutantNote(id)
	}
	return mutantOn == id
}

func mutantNote(id int) {
	mutantMu.Lock()
	defer mutantMu.Unlock()
	if mutantSeen[id] {
		return
	}
	mutantSeen[id] = true
	out, err := os.OpenFile(mutantTrace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = out.WriteString(strconv.Itoa(id) + "\n")
		_ = out.Close()
	}
	if err != nil {
		panic(err)
	}
}
`

// binary is the tests of a package with all its mutants in it.
type binary struct {
	path, dir, work string
	// flags for every run.
	flags []string
	// tests that reach a mutant, and how long each test takes.
	reach map[int][]string
	takes map[string]time.Duration
}

// build compiles the instrumented package, whose files are laid over the tree.
func (s *source) build(root, work string) (*binary, error) {
	dir, err := filepath.Abs(filepath.Join(root, s.pkg))
	if err != nil {
		return nil, err
	}
	if work, err = os.MkdirTemp(work, s.name+"-"); err != nil {
		return nil, err
	}
	s.files[filepath.Join(dir, "zz_mutants.go")] = fmt.Appendf(nil, runtimeSource, s.name, envMutant, envTrace)
	replace := map[string]string{}
	for path, text := range s.files {
		replace[path] = filepath.Join(work, filepath.Base(path))
		if err := os.WriteFile(replace[path], text, 0o600); err != nil {
			return nil, err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	overlayPath := filepath.Join(work, "overlay.json")
	if err := os.WriteFile(overlayPath, overlay, 0o600); err != nil {
		return nil, err
	}
	b := &binary{
		path: filepath.Join(work, "mutants.test"), dir: dir, work: work, flags: []string{"-test.short", "-test.count=1"},
		reach: map[int][]string{}, takes: map[string]time.Duration{},
	}
	imports, err := goCommand(dir, "list", "-tags", buildTags, "-f", `{{join .TestImports " "}} {{join .XTestImports " "}}`, ".")
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(imports), "pgregory.net/rapid") {
		// It keeps what failed for the next run; nobody wants to see a mutant's again.
		b.flags = append(b.flags, "-rapid.nofailfile")
	}
	_, err = goCommand(dir, "test", "-c", "-vet=off", "-tags", buildTags, "-overlay", overlayPath, "-o", b.path, ".")
	return b, err
}

// trace runs each test alone, with no mutant on, and notes which it reaches.
func (b *binary) trace() error {
	list, err := b.execute(context.Background(), nil, "-test.list", ".")
	if err != nil {
		return fmt.Errorf("listing the tests: %w\n%s", err, list)
	}
	for _, test := range strings.Fields(string(list)) {
		if strings.HasPrefix(test, "Benchmark") {
			continue
		}
		notes := filepath.Join(b.work, "trace-"+test)
		began := time.Now()
		out, err := b.execute(context.Background(), []string{envTrace + "=" + notes}, "-test.run", "^"+test+"$")
		if err != nil {
			return fmt.Errorf("%s fails without any mutant: %w\n%s", test, err, out)
		}
		b.takes[test] = time.Since(began)
		text, err := os.ReadFile(notes)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, word := range strings.Fields(string(text)) {
			id, err := strconv.Atoi(word)
			if err != nil {
				return err
			}
			b.reach[id] = append(b.reach[id], test)
		}
	}
	return nil
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// run judges one mutant by the tests that reach it.
func (b *binary) run(m *mutant) outcome {
	tests := b.reach[m.id]
	if len(tests) == 0 {
		return outcome{m, "survived", "no test comes here"}
	}
	var usual time.Duration
	for _, test := range tests {
		usual += b.takes[test]
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout(usual))
	defer cancel()
	out, err := b.execute(ctx, []string{envMutant + "=" + strconv.Itoa(m.id)},
		"-test.failfast", "-test.run", "^("+strings.Join(tests, "|")+")$")
	switch {
	case ctx.Err() != nil:
		return outcome{m, "killed", "no end"}
	case err == nil:
		return outcome{m, "survived", fmt.Sprintf("%d tests come here", len(tests))}
	}
	if found := failedTest.FindAllSubmatch(out, -1); found != nil {
		return outcome{m, "killed", string(found[len(found)-1][1])}
	}
	return outcome{m, "killed", "panic"}
}

// execute runs the test binary in the package's directory.
func (b *binary) execute(ctx context.Context, env []string, args ...string) ([]byte, error) {
	scratch, err := os.MkdirTemp(b.work, "run-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	cmd := exec.CommandContext(ctx, b.path, slices.Concat(args, b.flags)...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), append(env, "TMPDIR="+scratch)...)
	cmd.WaitDelay = time.Second
	return cmd.CombinedOutput()
}

// goCommand runs the go command in a directory and returns what it prints.
func goCommand(dir string, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s%s", args[0], err, out, stderr.Bytes())
	}
	return out, nil
}
