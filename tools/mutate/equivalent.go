package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// equivalents are mutants of which a person found that no test can tell them
// from the original, and why.
type equivalents struct {
	reasons map[string]string
	used    map[string]bool
}

// readEquivalent reads lines of five fields with tabs between: file, function,
// kind, code and reason. Lines that start with # are remarks.
func readEquivalent(path string) (*equivalents, error) {
	e := &equivalents{reasons: map[string]string{}, used: map[string]bool{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 5 || strings.TrimSpace(fields[4]) == "" {
			return nil, fmt.Errorf("%s:%d: want file, function, kind, code and reason with tabs between", path, n+1)
		}
		key := strings.Join(fields[:4], "\t")
		if _, twice := e.reasons[key]; twice {
			return nil, fmt.Errorf("%s:%d: named twice", path, n+1)
		}
		e.reasons[key] = fields[4]
	}
	return e, nil
}

func (e *equivalents) reason(m *mutant) (string, bool) {
	reason, ok := e.reasons[m.key()]
	if ok {
		e.used[m.key()] = true
	}
	return reason, ok
}

// unused lists entries of these packages for which there is no mutant.
func (e *equivalents) unused(packages []string, again bool) []string {
	if again {
		return nil
	}
	var left []string
	for key := range e.reasons {
		file, _, _ := strings.Cut(key, "\t")
		in := slices.ContainsFunc(packages, func(pkg string) bool {
			return filepath.ToSlash(filepath.Clean(pkg)) == filepath.ToSlash(filepath.Dir(file))
		})
		if in && !e.used[key] {
			left = append(left, key)
		}
	}
	slices.Sort(left)
	return left
}
