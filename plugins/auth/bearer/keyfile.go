package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// keyFilePoll is how often a key file is read again. Reading and comparing a
// small file costs next to nothing and, other than its modification time, can't
// miss a change: not that of a symlink's target, nor two within a second.
const keyFilePoll = 2 * time.Second

// keyFile is a PEM file that is read again when it changes. A file that is gone
// or broken leaves the last good keys in place.
type keyFile struct {
	path       string
	issuer     string
	algorithms []string
	env        *environment
	set        atomic.Pointer[keySet]

	mu sync.Mutex
	// seen is the hash of the content last looked at, good or bad.
	seen      [sha256.Size]byte
	attempted time.Time
	lastError error
}

// newKeyFile reads the file, which must be good to begin with.
func newKeyFile(c *IssuerConfig, env *environment) (*keyFile, error) {
	f := &keyFile{path: c.PublicKeyFile, issuer: c.Name, algorithms: c.Algorithms, env: env}
	if err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

// load reads the file, and takes its keys if it changed and is good.
func (f *keyFile) load() (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attempted = f.env.clock()
	data, err := readBounded(f.path, maxPEMBytes)
	if err != nil {
		f.lastError = fmt.Errorf("reading public_key: %w", err)
		return f.lastError
	}
	old := f.set.Load()
	sum := sha256.Sum256(data)
	if sum == f.seen && f.lastError == nil {
		fresh := *old
		fresh.fetched = f.attempted
		f.set.Store(&fresh)
		return nil
	}
	keys, err := parsePEM(data, f.algorithms)
	if f.lastError = err; err != nil {
		return err
	}
	f.seen = sum
	next := &keySet{generation: 1, keys: keys, fetched: f.attempted}
	if old != nil {
		next.generation = old.generation + 1
	}
	f.set.Store(next)
	return nil
}

func readBounded(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if int64(len(data)) > most {
		return nil, errors.New("the file is too large for a public key")
	}
	return data, err
}

func (f *keyFile) current(time.Time) *keySet { return f.set.Load() }

func (f *keyFile) consult(context.Context, string, time.Time) (*keySet, error) {
	return f.set.Load(), nil
}

func (f *keyFile) run(ctx context.Context) {
	ticker := time.NewTicker(keyFilePoll)
	defer ticker.Stop()
	failing := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		before := f.set.Load().generation
		err := f.load()
		switch set := f.set.Load(); {
		case err != nil && err.Error() != failing:
			failing = err.Error()
			f.env.log(Event{Kind: EventKeysFailed, Issuer: f.issuer, Keys: len(set.keys), Err: err})
		case err == nil:
			failing = ""
			if set.generation != before {
				f.env.log(Event{Kind: EventKeysLoaded, Issuer: f.issuer, Keys: len(set.keys)})
			}
		}
	}
}

func (f *keyFile) health(h *IssuerHealth) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h.fill(f.set.Load())
	h.AttemptedAt = f.attempted
	if f.lastError != nil {
		h.LastError = f.lastError.Error()
	}
}
