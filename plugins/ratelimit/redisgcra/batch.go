package redisgcra

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors of a call that Redis did not answer.
var (
	// ErrTimeout is the error of a call that took longer than the budget.
	ErrTimeout = errors.New("redis did not answer in time")
	// ErrBusy is the error of a call that found the queue full.
	ErrBusy = errors.New("too many calls wait for redis")
	// ErrReply is the error of an answer that can't be one to the question: a
	// connection out of step, or a server that is not Redis.
	ErrReply = errors.New("redis gave an answer to another question")

	errClosed = errors.New("the limiter is closed")
)

// The shape of pipelining: how many pipelines may be under way, how many calls
// one of them takes, and how many wait.
const (
	pipelines   = 8
	pipelineMax = 512
	queueMax    = 8192
)

// patience is by how much a pipeline may outlive the budget of its callers: the
// greeting of a new connection is a round trip too, and an answer that comes late
// is no reason to greet again. Callers have gone by then.
const patience = 200 * time.Millisecond

// A batcher sends the calls of many goroutines in few pipelines: whatever waits
// when a pipeline becomes free goes in one round trip. A caller never waits
// longer than its context, whatever Redis and the client library do.
type batcher struct {
	dial    func() redis.UniversalClient
	client  atomic.Pointer[redis.UniversalClient]
	budget  time.Duration
	stop    chan struct{}
	workers sync.WaitGroup
	// first is the lane of all calls but those to a known master of a cluster.
	first  *lane
	shards *shards

	// echo ends each pipeline with a question whose answer is known, so that a
	// connection out of step is found before its answers are used.
	echo   atomic.Bool
	serial atomic.Uint64
	trips  atomic.Int64
	calls  atomic.Int64
	shifts atomic.Int64
}

// A lane is the way to one server. Calls to one that hangs must not hold up
// those to others, so that each has its own queue and breaker.
type lane struct {
	// addr is the master of a cluster that the lane leads to, empty for the first.
	addr    string
	queue   chan *call
	breaker breaker
}

// A call is one command on its way.
type call struct {
	cmd *onceCmd
	// name is the Redis key that it is about.
	name  string
	done  chan struct{}
	state atomic.Int32
}

// The states of a call: it waits, it is in a pipeline that waits for a connection,
// it is on its way, or its caller has gone before that.
const (
	callQueued int32 = iota
	callPiped
	callWritten
	callAbandoned
)

// abandon gives the call up and reports whether it may have reached Redis. Where
// not it never will: a caller who has gone is not charged.
func (c *call) abandon() (sent bool) {
	return !c.state.CompareAndSwap(callQueued, callAbandoned) && !c.state.CompareAndSwap(callPiped, callAbandoned)
}

// result is that of a call that is done. What failed before it was written did
// not reach Redis.
func (c *call) result() (*redis.Cmd, bool, error) {
	err := c.cmd.Err()
	return c.cmd.Cmd, err == nil || c.state.Load() == callWritten, err
}

// onceCmd is a command that the library sends once: sending a charge again could
// charge twice.
type onceCmd struct {
	*redis.Cmd
	// call is nil for a command that nobody waits for.
	call *call
	// routed is false until the client of a cluster has chosen the node.
	routed bool
}

// NoRetry tells the library so.
func (*onceCmd) NoRetry() bool { return true }

// nothing is sent in the place of a call whose caller has gone.
var nothing = []any{"echo", ""}

// Args is what the library writes, and before that what the client of a cluster
// reads to find the node: a call that is not routed yet has not been written.
func (o *onceCmd) Args() []any {
	if o.call != nil && o.routed && !o.call.state.CompareAndSwap(callPiped, callWritten) && o.call.state.Load() == callAbandoned {
		return nothing
	}
	return o.Cmd.Args()
}

// routing is the hook of a cluster's nodes that marks what was routed to them.
type routing struct{}

func (routing) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (routing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (routing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if once, ok := cmd.(*onceCmd); ok {
				once.routed = true
			}
		}
		return next(ctx, cmds)
	}
}

// newBatcher makes one. Prepare is called with each lane before it is used.
func newBatcher(dial func() redis.UniversalClient, budget time.Duration, cluster bool, prepare func(*lane)) *batcher {
	b := &batcher{dial: dial, budget: budget, stop: make(chan struct{})}
	client := dial()
	b.client.Store(&client)
	b.echo.Store(true)
	newLane := func(addr string) *lane {
		l := &lane{addr: addr, queue: make(chan *call, queueMax)}
		prepare(l)
		for range pipelines {
			b.workers.Go(func() { b.work(l) })
		}
		return l
	}
	b.first = newLane("")
	if cluster {
		b.shards = newShards(b.first, newLane)
		b.workers.Go(b.follow)
	}
	return b
}

// do runs one command about the given Redis key and reports whether it may have
// reached Redis. The command must not be used again after an error.
func (b *batcher) do(ctx context.Context, name string, args ...any) (cmd *redis.Cmd, sent bool, err error) {
	c := &call{name: name, done: make(chan struct{})}
	c.cmd = &onceCmd{Cmd: redis.NewCmd(context.Background(), args...), call: c, routed: b.shards == nil}
	select {
	case <-b.stop:
		return nil, false, errClosed
	default:
	}
	select {
	case b.laneOf(name).queue <- c:
	default:
		return nil, false, ErrBusy
	}
	select {
	case <-c.done:
		return c.result()
	case <-ctx.Done():
	case <-b.stop:
	}
	select {
	case <-c.done:
		return c.result()
	default:
	}
	return nil, c.abandon(), ErrTimeout
}

func (b *batcher) work(l *lane) {
	batch := make([]*call, 0, pipelineMax)
	for {
		select {
		case <-b.stop:
			return
		case c := <-l.queue:
			batch = l.gather(append(batch[:0], c))
		}
		if len(batch) > 0 {
			b.exec(batch)
		}
		clear(batch)
	}
}

// gather adds what waits and leaves out what was abandoned.
func (l *lane) gather(batch []*call) []*call {
	if !batch[0].state.CompareAndSwap(callQueued, callPiped) {
		batch = batch[:0]
	}
	// Callers who are ready to run may add their calls before the pipeline leaves:
	// under load that makes pipelines longer and fewer, else it costs nothing.
	yielded := false
	for len(batch) < pipelineMax {
		select {
		case c := <-l.queue:
			if c.state.CompareAndSwap(callQueued, callPiped) {
				batch = append(batch, c)
			}
		default:
			if yielded {
				return batch
			}
			yielded = true
			runtime.Gosched()
		}
	}
	return batch
}

func (b *batcher) exec(batch []*call) {
	defer func() {
		// A library that panics must not end the process, nor leave callers waiting.
		if r := recover(); r != nil {
			for _, c := range batch {
				c.fail(fmt.Errorf("%w: %v", ErrReply, r))
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), b.budget+patience)
	defer cancel()
	client := b.client.Load()
	pipe := (*client).Pipeline()
	for _, c := range batch {
		_ = pipe.Process(ctx, c.cmd)
	}
	var echo *onceCmd
	var serial string
	if b.echo.Load() {
		serial = "portcullis-" + strconv.FormatUint(b.serial.Add(1), 36)
		if b.shards != nil {
			// ECHO would go to any node, a script goes to that of its key.
			echo = &onceCmd{Cmd: redis.NewCmd(ctx, "eval", "return ARGV[1]", 1, batch[0].name, serial)}
		} else {
			echo = &onceCmd{Cmd: redis.NewCmd(ctx, "echo", serial)}
		}
		_ = pipe.Process(ctx, echo)
	}
	b.trips.Add(1)
	b.calls.Add(int64(len(batch)))
	_, err := pipe.Exec(ctx)
	if err != nil && unsent(batch, echo) {
		// The connection was refused before a command was written: a wrong password or
		// database. The library says so of the pipeline and of no command.
		for _, c := range batch {
			c.fail(err)
		}
		return
	}
	if echo != nil {
		if err := b.outOfStep(client, echo, serial); err != nil {
			for _, c := range batch {
				if c.cmd.Err() == nil {
					c.cmd.SetErr(err)
				}
			}
		}
	}
	for _, c := range batch {
		close(c.done)
	}
}

// unsent reports whether no command of a pipeline has got an answer or an error.
func unsent(batch []*call, echo *onceCmd) bool {
	for _, c := range batch {
		if c.state.Load() == callWritten || c.cmd.Err() != nil || c.cmd.Val() != nil {
			return false
		}
	}
	return echo == nil || echo.Err() == nil && echo.Val() == nil
}

// outOfStep returns an error where the last answer of a pipeline does not prove
// that the answers before it belong to their questions.
func (b *batcher) outOfStep(client *redis.UniversalClient, echo *onceCmd, serial string) error {
	answer, err := echo.Text()
	code := errorCode(err)
	switch {
	case err == nil && answer == serial:
		return nil
	case code == "MOVED" || code == "ASK" || code == "TRYAGAIN":
		return nil // the slot is on its way
	case code == "NOPERM" || code == "ERR" && strings.Contains(err.Error(), "unknown command"):
		// A user or a server without ECHO: the check is not to be had.
		b.echo.Store(false)
		return nil
	case err != nil && (isTransport(err) || stateCodes[code]):
		return err
	}
	b.shifts.Add(1)
	b.renew(client)
	return ErrReply
}

// stateCodes are the errors by which Redis refuses whatever it is asked.
var stateCodes = map[string]bool{
	"LOADING": true, "BUSY": true, "NOAUTH": true, "MASTERDOWN": true, "CLUSTERDOWN": true, "WRONGPASS": true,
	"MISCONF": true, "READONLY": true, "OOM": true, "TRYAGAIN": true, "NOREPLICAS": true, "UNKILLABLE": true,
}

// renew replaces the client, and with it every connection, once for each client
// that was found out of step.
func (b *batcher) renew(old *redis.UniversalClient) {
	client := b.dial()
	if !b.client.CompareAndSwap(old, &client) {
		_ = client.Close()
		return
	}
	_ = (*old).Close()
}

func (c *call) fail(err error) {
	select {
	case <-c.done:
	default:
		c.cmd.SetErr(err)
		close(c.done)
	}
}

// close ends the workers and the connections. Calls that still wait get an error.
func (b *batcher) close() error {
	close(b.stop)
	b.workers.Wait()
	return (*b.client.Load()).Close()
}
