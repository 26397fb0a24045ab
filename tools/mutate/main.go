// Command mutate asks of the security packages whether each single check is
// held by a test. It takes checks away one at a time (a condition is always or
// never true, one operand of && or || is gone, < is <=, a call is left out) and
// runs the package's own tests: a mutant that they let pass is a check that
// nobody would miss.
//
// All mutants of a package are compiled into one test binary, by -overlay and
// without touching the tree; an environment variable switches one of them on.
// Only the tests that reach a mutant are run for it.
//
//	./xcaddy.sh mutate [--again] [--jobs N] [package...]
//
// What can't be told from the original by any test stands in equivalent.tsv,
// each with its reason. The exit code is 1 if there are survivors, or entries in
// that list for which there is no mutant any more.
package main

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// securityPackages decide who may do what.
var securityPackages = []string{
	"./plugins/edge",
	"./plugins/auth",
	"./plugins/auth/apikey",
	"./plugins/auth/bearer",
	"./plugins/auth/bearer/mint",
	"./plugins/auth/revocation",
	"./plugins/roles",
}

func main() {
	root := flag.String("root", ".", "the module's directory")
	again := flag.Bool("again", false, "only those that survived the last run")
	list := flag.Bool("list", false, "print the mutants and run nothing")
	jobs := flag.Int("jobs", max(1, runtime.NumCPU()/2), "how many to run at once")
	flag.Parse()
	packages := flag.Args()
	if len(packages) == 0 {
		packages = securityPackages
	}
	survivors, err := mutate(*root, packages, *again, *list, *jobs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if survivors != 0 {
		os.Exit(1)
	}
}

// outcome is what became of a mutant.
type outcome struct {
	*mutant
	// verdict is killed, equivalent or survived; by says by which test, or why.
	verdict, by string
}

// mutate does the packages one after the other and says how many survived.
func mutate(root string, packages []string, again, listOnly bool, jobs int) (int, error) {
	work, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work)
	known, err := readEquivalent(filepath.Join(root, "tools", "mutate", "equivalent.tsv"))
	if err != nil {
		return 0, err
	}
	var only map[string]bool
	remembered := filepath.Join(root, "bin", "mutate-survivors.txt")
	if again {
		if only, err = readLines(remembered); err != nil {
			return 0, fmt.Errorf("no earlier run to repeat: %w", err)
		}
	}
	var all []outcome
	for _, pkg := range packages {
		found, err := mutatePackage(root, pkg, work, known, only, listOnly, jobs)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", pkg, err)
		}
		all = append(all, found...)
	}
	if listOnly {
		return 0, nil
	}
	return report(remembered, all, known.unused(packages, again))
}

// mutatePackage makes and runs the mutants of one package.
func mutatePackage(root, pkg, work string, known *equivalents, only map[string]bool, listOnly bool, jobs int) ([]outcome, error) {
	source, err := parsePackage(root, pkg)
	if err != nil {
		return nil, err
	}
	if listOnly {
		for _, m := range source.mutants {
			fmt.Println(m)
		}
		return nil, nil
	}
	var all []outcome
	var todo []*mutant
	for _, m := range source.mutants {
		reason, equivalent := known.reason(m)
		switch {
		case only != nil && !only[m.key()]:
		case equivalent:
			all = append(all, outcome{m, "equivalent", reason}.show())
		default:
			todo = append(todo, m)
		}
	}
	fmt.Printf("# %s: %d mutants, %d to run\n", pkg, len(source.mutants), len(todo))
	if len(todo) == 0 {
		return all, nil
	}
	binary, err := source.build(root, work)
	if err != nil {
		return nil, err
	}
	if err := binary.trace(); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var running sync.WaitGroup
	turn := make(chan struct{}, jobs)
	for _, m := range todo {
		turn <- struct{}{}
		running.Go(func() {
			defer func() { <-turn }()
			o := binary.run(m)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, o.show())
		})
	}
	running.Wait()
	slices.SortStableFunc(all, func(a, b outcome) int { return cmp.Compare(a.id, b.id) })
	return all, nil
}

// show prints an outcome as soon as it is known: a run takes its time.
func (o outcome) show() outcome {
	fmt.Printf("%-10s %s\t(%s)\n", o.verdict, o.mutant, o.by)
	return o
}

// report prints the sum and remembers the survivors for --again.
func report(remembered string, all []outcome, unused []string) (int, error) {
	count := map[string]int{}
	var survivors []string
	for _, o := range all {
		count[o.verdict]++
		if o.verdict == "survived" {
			survivors = append(survivors, o.key())
		}
	}
	fmt.Printf("\n%d mutants: %d killed, %d equivalent, %d survived\n", len(all), count["killed"], count["equivalent"], count["survived"])
	for _, o := range all {
		if o.verdict == "survived" {
			fmt.Printf("survived   %s\t(%s)\n", o.mutant, o.by)
		}
	}
	for _, entry := range unused {
		fmt.Printf("equivalent.tsv names a mutant that is not there: %s\n", entry)
	}
	if err := os.MkdirAll(filepath.Dir(remembered), 0o755); err != nil {
		return 0, err
	}
	if err := os.WriteFile(remembered, []byte(strings.Join(survivors, "\n")+"\n"), 0o644); err != nil {
		return 0, err
	}
	return len(survivors) + len(unused), nil
}

func readLines(path string) (map[string]bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := map[string]bool{}
	for scan := bufio.NewScanner(file); scan.Scan(); {
		lines[scan.Text()] = true
	}
	return lines, nil
}

// timeout is how long a mutant may take, by how long its tests take without it.
func timeout(usual time.Duration) time.Duration {
	return usual + min(10*time.Second+4*usual, 30*time.Second)
}
