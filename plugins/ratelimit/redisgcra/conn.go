package redisgcra

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A script is one of ours, by its text and by the hash that Redis knows it by.
type script struct{ text, hash string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the name of a script, as Redis has it
	return script{text: text, hash: hex.EncodeToString(sum[:])}
}

// run runs a script by its hash, and by its text where Redis does not have it: a
// restarted server, a promoted replica, a flush. That costs one more round trip.
func (b *batcher) run(ctx context.Context, s script, keys []string, args []any) (reply []any, sent bool, err error) {
	cmd, sent, err := b.eval(ctx, "evalsha", s.hash, keys, args)
	if errorCode(err) == "NOSCRIPT" {
		cmd, sent, err = b.eval(ctx, "eval", s.text, keys, args)
	}
	if err != nil {
		return nil, sent, err
	}
	reply, ok := cmd.Val().([]any)
	if !ok {
		return nil, sent, ErrReply
	}
	return reply, sent, nil
}

func (b *batcher) eval(ctx context.Context, name, body string, keys []string, args []any) (*redis.Cmd, bool, error) {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, name, body, len(keys))
	for _, key := range keys {
		all = append(all, key)
	}
	return b.do(ctx, keys[0], append(all, args...)...)
}

// A rediser is what redis_rate asks of a client, on the batcher. A plain
// Pipeliner compiles in its place and panics, since it answers later.
type rediser struct {
	b *batcher
	// sent is whether the last call may have reached Redis.
	sent *bool
}

func (r rediser) call(ctx context.Context, name, body string, keys []string, args []any) *redis.Cmd {
	cmd, sent, err := r.b.eval(ctx, name, body, keys, args)
	*r.sent = sent
	if cmd == nil {
		cmd = redis.NewCmd(ctx)
	}
	if err != nil && cmd.Err() == nil {
		cmd.SetErr(err)
	}
	return cmd
}

func (r rediser) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return r.call(ctx, "eval", script, keys, args)
}

func (r rediser) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return r.call(ctx, "evalsha", sha1, keys, args)
}

func (r rediser) EvalRO(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return r.call(ctx, "eval_ro", script, keys, args)
}

func (r rediser) EvalShaRO(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return r.call(ctx, "evalsha_ro", sha1, keys, args)
}

// errUnused is the answer to what redis_rate's Allow never asks.
var errUnused = errors.New("not used by the limiter")

func (rediser) ScriptExists(ctx context.Context, _ ...string) *redis.BoolSliceCmd {
	cmd := redis.NewBoolSliceCmd(ctx)
	cmd.SetErr(errUnused)
	return cmd
}

func (rediser) ScriptLoad(ctx context.Context, _ string) *redis.StringCmd {
	cmd := redis.NewStringCmd(ctx)
	cmd.SetErr(errUnused)
	return cmd
}

func (rediser) Del(ctx context.Context, _ ...string) *redis.IntCmd {
	cmd := redis.NewIntCmd(ctx)
	cmd.SetErr(errUnused)
	return cmd
}

// isTransport reports whether an error came from the way to Redis, not from it.
func isTransport(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, redis.ErrClosed) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted)
}

// errorCode is the first word of an error that Redis answered, such as READONLY;
// empty for others.
func errorCode(err error) string {
	var answered redis.Error
	if !errors.As(err, &answered) || errors.Is(err, redis.Nil) || isTransport(err) {
		return ""
	}
	code, _, _ := strings.Cut(answered.Error(), " ")
	return code
}

// isCorrupt reports whether Redis refused because of what stands at the key: a
// value that is no number, or no string.
func isCorrupt(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "WRONGTYPE") || strings.Contains(text, "bad argument") ||
		strings.Contains(text, "attempt to perform arithmetic") || strings.Contains(text, "attempt to compare")
}
