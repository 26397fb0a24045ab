// Package redisgcra keeps the counts of rate limits in Redis, so that all nodes
// of a gateway hold one limit together, and decides by itself while Redis is
// gone.
//
// A decision is one call in a shared pipeline. It never takes longer than the
// budget. Callers who have nothing left are refused without asking. A breaker
// keeps everybody from waiting for a Redis that does not answer.
package redisgcra

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
)

// Mode says how exact the limiter is.
type Mode string

// The modes.
const (
	// ModeExact never admits more than the limit. Each request that is not refused
	// from memory is one call.
	ModeExact Mode = "exact"
	// ModeBounded charges busy callers in advance and on credit and so makes fewer
	// calls; it admits more than the limit by a stated bound, see Health, and for up
	// to a second may refuse what another node holds in advance.
	ModeBounded Mode = "bounded"
)

// Options of a Limiter. All but Target have defaults.
type Options struct {
	// Target is where Redis is.
	Target *Target
	// Mode is ModeExact or ModeBounded. Default: ModeExact.
	Mode Mode
	// Engine is EngineRedisRate or EngineNative. Default: EngineRedisRate.
	Engine Engine
	// Timeout is how long a decision may wait for Redis. Default: 50 ms.
	Timeout time.Duration
	// OnFailure is what happens while Redis does not answer. Default: FailLocal.
	OnFailure OnFailure
	// Share of each limit that this node grants alone then, above 0 and up to 1.
	// Default: 1/N of the N gateways that Join made known; while none is known, 1/Nodes
	// where Nodes is given, else 0.5.
	Share float64
	// Nodes is how many gateways share the limits, for the bounded mode.
	// Default: 4.
	Nodes int
	// Node is the id of this gateway among those that share the limits, letters and
	// digits. Default: one for the process, made when it starts.
	Node string
	// Error is the part of a burst that all nodes together may admit on credit in the
	// bounded mode, up to 0.5. Below 0 there is no credit: what is prepaid is all that
	// saves calls. Default: 0.05.
	Error float64
	// MaxKeys bounds the counts in memory while Redis is gone. Default:
	// gcra.DefaultMaxKeys.
	MaxKeys int
	// Clock is monotonic; Default: that of the process. Redis has its own.
	Clock func() time.Duration
	// Observer is told what happens. Default: nobody.
	Observer Observer

	// nodesGiven says that Nodes is not the default.
	nodesGiven bool
}

// Limiter is a ratelimit.Limiter in Redis.
type Limiter struct {
	o       Options
	b       *batcher
	engine  engine
	deny    *denyCache
	turns   *turns
	prepaid *prepaid
	outage  *outage
	// gateways are those that share the Redis.
	gateways gateways

	stop  context.CancelFunc
	ended context.Context
	tasks sync.WaitGroup
	// flush is set while a flush of what is owed is under way.
	flush atomic.Bool
	// listening is set once the limiter listens to other nodes.
	listening atomic.Bool
	// closing guards tasks: none starts after Close began to wait.
	closing  sync.RWMutex
	observer atomic.Pointer[Observer]
	// edges guards open, how many breakers are, and orders what is told of them.
	edges sync.Mutex
	open  int

	denied, answered, errs, timeouts, corrupt, impossible, settled, unsettled atomic.Int64
}

var _ ratelimit.Limiter = (*Limiter)(nil)

// Bounds of the options.
const (
	minTimeout = time.Millisecond
	maxTimeout = 10 * time.Second
)

// New makes a limiter. It does not wait for Redis: one that is not there yet is
// a failure like any other. Close ends it.
func New(o Options) (*Limiter, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	silenceLibrary()
	l := &Limiter{o: o}
	l.Observe(o.Observer)
	l.ended, l.stop = context.WithCancel(context.Background())
	l.b = newBatcher(func() redis.UniversalClient { return o.Target.client(o.Timeout) }, o.Timeout, o.Target.cluster, func(ln *lane) {
		ln.breaker.probe = func() { l.start(func(ctx context.Context) { l.recover(ctx, ln) }) }
		ln.breaker.edge = l.breakerEdge
	})
	if o.Engine == EngineNative {
		l.engine = &scripted{b: l.b}
	} else {
		l.engine = &rated{scripted: scripted{b: l.b, rate: true}, impossible: func() { l.impossible.Add(1) }}
	}
	l.deny = newDenyCache(l.engine.interval, l.wantNotices)
	l.turns = newTurns(l.engine.interval)
	l.outage = &outage{policy: o.OnFailure, share: l.share, owed: map[countName]debt{}}
	if o.OnFailure == FailLocal {
		l.outage.local = gcra.New(gcra.Options{Clock: gcra.Clock(o.Clock), MaxKeys: o.MaxKeys})
	}
	if o.Mode == ModeBounded {
		l.prepaid = newPrepaid(&l.o, l.engine.interval)
		l.start(l.chargeLoop)
	}
	return l, nil
}

func (o *Options) defaults() error {
	if o.Target == nil {
		return errors.New("the limiter needs the address of redis")
	}
	if o.Mode == "" {
		o.Mode = ModeExact
	}
	if o.Engine == "" {
		o.Engine = EngineRedisRate
	}
	if o.OnFailure == "" {
		o.OnFailure = FailLocal
	}
	if o.Timeout == 0 {
		o.Timeout = 50 * time.Millisecond
	}
	if o.nodesGiven = o.Nodes != 0; !o.nodesGiven {
		o.Nodes = 4
	}
	if o.Node == "" {
		o.Node = process()
	}
	if o.Error == 0 {
		o.Error = defaultError
	}
	if o.Clock == nil {
		start := time.Now()
		o.Clock = func() time.Duration { return time.Since(start) }
	}
	switch {
	case o.Mode != ModeExact && o.Mode != ModeBounded:
		return fmt.Errorf("mode must be exact or bounded; got %q", o.Mode)
	case o.Engine != EngineRedisRate && o.Engine != EngineNative:
		return fmt.Errorf("engine must be redis_rate or native; got %q", o.Engine)
	case o.OnFailure != FailLocal && o.OnFailure != FailOpen && o.OnFailure != FailClosed:
		return fmt.Errorf("on_failure must be local, open or closed; got %q", o.OnFailure)
	case o.Timeout < minTimeout || o.Timeout > maxTimeout:
		return fmt.Errorf("timeout must be from 1ms to 10s; got %s", o.Timeout)
	case o.Share != 0 && !(o.Share > 0 && o.Share <= 1):
		return fmt.Errorf("share must be above 0 and up to 1, like 0.5; got %v", o.Share)
	case !(o.Error <= maxError):
		return fmt.Errorf("error must be 0.5 or less, like 0.05; got %v", o.Error)
	case strings.ContainsFunc(o.Node, func(r rune) bool { return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') }):
		return fmt.Errorf("node must be letters and digits; got %q", o.Node)
	case o.Nodes < 1 || o.Nodes > 10_000:
		return fmt.Errorf("nodes must be from 1 to 10000; got %d", o.Nodes)
	}
	return nil
}

// Close ends what the limiter runs and closes the connections. Decisions after
// it are made as if Redis did not answer.
func (l *Limiter) Close() error {
	l.closing.Lock()
	if l.ended.Err() != nil {
		l.closing.Unlock()
		return nil //nolint:nilerr // it is closed already: the error of an ended context is no failure
	}
	l.stop()
	l.closing.Unlock()
	l.tasks.Wait()
	if l.prepaid != nil {
		l.prepaid.end()
		l.chargeDue(context.Background())
	}
	if l.outage.local != nil {
		_ = l.outage.local.Close()
	}
	return l.b.close()
}

// start runs a task that Close waits for.
func (l *Limiter) start(task func(context.Context)) {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.ended.Err() == nil {
		l.tasks.Go(func() { task(l.ended) })
	}
}

// Take is as ratelimit.Limiter has it. While Redis does not answer the decision
// is that of Options.OnFailure; FailClosed gives a *plugins.Unavailable. A charge
// that was sent stands even where the client is gone.
func (l *Limiter) Take(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, cost int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	if err := ratelimit.CheckLimits(limits); err != nil {
		return ratelimit.Decision{}, err
	}
	rows = rows[:0]
	never, widest := false, int64(0)
	for i := range limits {
		rows = append(rows, ratelimit.Row{})
		rows[i].Limit = limits[i]
		never = never || cost > limits[i].Burst
		widest = max(widest, limits[i].Burst)
	}
	// No more than a burst and a debt of one can come back.
	cost = max(cost, -2*widest)
	if never {
		return l.never(ctx, key, limits, cost, rows)
	}
	var d ratelimit.Decision
	var err error
	if l.prepaid != nil && suits(limits) {
		d, err = l.takeBounded(ctx, key, limits, cost, rows)
	} else {
		d, err = l.takeExact(ctx, key, limits, cost, 0, rows)
	}
	if err == nil && cost > 0 && d.Share == 0 {
		// The memory that decides while Redis is gone gives turns itself.
		l.turn(ctx, key, &d, cost)
	}
	return d, err
}

// never refuses a cost above a burst, for ever, and says what the state is.
func (l *Limiter) never(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, cost int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	d, err := l.takeExact(ctx, key, limits, 0, 0, rows)
	if err != nil {
		return d, err
	}
	for i := range d.Rows {
		if cost > d.Rows[i].Limit.Burst {
			d.Rows[i].RetryAfter = -1
		}
	}
	return ratelimit.Decide(d.Rows), nil
}

// takeExact asks Redis, unless it is known that there is nothing left. Extra is
// what to charge in advance.
func (l *Limiter) takeExact(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, cost, extra int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	ln := l.b.lane(key)
	if !ln.breaker.ready() {
		l.observeFallback()
		return l.outage.decide(ctx, key, limits, cost, rows, true, errOpen)
	}
	sent := l.o.Clock()
	ticket, refused := l.deny.check(key, limits, cost, sent, rows)
	if refused {
		l.denied.Add(1)
		return ratelimit.Decide(rows), nil
	}
	more, charged, err := l.ask(ctx, key, limits, cost, extra, rows)
	l.observeCall(l.o.Clock()-sent, err)
	if err != nil {
		l.deny.failed(key, ticket)
		l.failed(ln, err)
		l.observeFallback()
		d, err := l.outage.decide(ctx, key, limits, cost, rows, !charged, err)
		if !charged {
			l.scheduleFlush()
		}
		return d, err
	}
	l.answered.Add(1)
	ln.breaker.succeeded()
	now := l.o.Clock()
	l.deny.done(key, limits, cost, sent, now, rows, ticket)
	if cost < 0 {
		l.gaveBack(key, cost, rows)
	}
	if l.prepaid != nil && cost > 0 && suits(limits) {
		l.prepaid.synced(key, limits, more, sent, now, rows)
	}
	return ratelimit.Decide(rows), nil
}

// errOpen is the cause of decisions while the breaker is open.
var errOpen = errors.New("redis is not asked, it did not answer before")

// ask makes one call within the budget. What stands in the way at the keys, a
// list or words where a number should be, is removed and the call made again.
func (l *Limiter) ask(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, cost, extra int64, rows []ratelimit.Row) (more int64, sent bool, err error) {
	sent, err = l.call(ctx, key, limits, func(ctx context.Context) (sent bool, err error) {
		if extra > 0 {
			more, sent, err = l.engine.reserve(ctx, key, cost, extra, rows)
			return sent, err
		}
		return l.engine.take(ctx, key, cost, rows)
	})
	return more, sent, err
}

// call asks the engine within the budget, a second time where something had to be
// removed first.
func (l *Limiter) call(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, ask func(context.Context) (bool, error)) (sent bool, err error) {
	// A client who goes away must not turn a charge into a failure of Redis.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.o.Timeout)
	defer cancel()
	sent, err = ask(ctx)
	if isCorrupt(err) {
		l.corrupt.Add(1)
		if err = l.remove(ctx, key, limits); err == nil {
			sent, err = ask(ctx)
		}
	}
	return sent, err
}

// remove deletes the counts of a caller.
func (l *Limiter) remove(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit) error {
	names := l.engine.names(key, limits)
	args := []any{"del"}
	for _, name := range names {
		args = append(args, name)
	}
	_, _, err := l.b.do(ctx, names[0], args...)
	return err
}

// failed counts a failure.
func (l *Limiter) failed(ln *lane, err error) {
	if l.ended.Err() != nil {
		return
	}
	l.errs.Add(1)
	if errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		l.timeouts.Add(1)
	}
	ln.breaker.failed(err, time.Now()) //nolint:forbidigo // for people to read; nothing is decided by it
}

// Adjust is as ratelimit.Limiter has it. While Redis does not answer the charge is
// made here, or owed, as Options.OnFailure has it.
func (l *Limiter) Adjust(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, delta int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	if delta <= 0 {
		return l.Take(ctx, key, limits, delta, rows)
	}
	if err := ratelimit.CheckLimits(limits); err != nil {
		return ratelimit.Decision{}, err
	}
	rows = rows[:0]
	widest := int64(0)
	for i := range limits {
		rows = append(rows, ratelimit.Row{})
		rows[i].Limit = limits[i]
		widest = max(widest, limits[i].Burst)
	}
	delta = min(delta, 2*widest)
	ln := l.b.lane(key)
	if !ln.breaker.ready() {
		l.observeFallback()
		return l.outage.adjust(ctx, key, limits, delta, rows, true, errOpen)
	}
	sent := l.o.Clock()
	charged, err := l.call(ctx, key, limits, func(ctx context.Context) (bool, error) {
		return l.engine.adjust(ctx, key, delta, rows)
	})
	l.observeCall(l.o.Clock()-sent, err)
	if err != nil {
		l.failed(ln, err)
		l.observeFallback()
		d, err := l.outage.adjust(ctx, key, limits, delta, rows, !charged, err)
		if !charged {
			l.scheduleFlush()
		}
		return d, err
	}
	l.answered.Add(1)
	ln.breaker.succeeded()
	now := l.o.Clock()
	l.deny.done(key, limits, delta, sent, now, rows, ticket{})
	if l.prepaid != nil && suits(limits) {
		l.prepaid.synced(key, limits, 0, sent, now, rows)
	}
	return ratelimit.Decide(rows), nil
}

// takeBounded serves from what is prepaid or on credit, and else asks.
func (l *Limiter) takeBounded(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, cost int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	now := l.o.Clock()
	if cost < 0 {
		cost = -l.prepaid.giveBack(key, limits, -cost)
	}
	if cost <= 0 {
		held, unsettled := l.prepaid.held(key, limits, now)
		if unsettled {
			held += l.settleCaller(ctx, key)
		}
		d, err := l.takeExact(ctx, key, limits, cost, 0, rows)
		if err == nil && held != 0 {
			l.prepaid.add(held, d.Rows)
		}
		return d, err
	}
	sp := l.prepaid.spend(key, limits, cost, now, rows)
	if sp.all {
		return ratelimit.Decide(rows), nil
	}
	if sp.unsettled {
		l.settleCaller(ctx, key)
	}
	d, err := l.takeExact(ctx, key, limits, cost-sp.part, sp.extra, rows)
	refused := err == nil && !d.Allowed
	l.prepaid.asked(key, sp, refused)
	if refused && sp.part > 0 {
		l.prepaid.add(sp.part, d.Rows)
	}
	return d, err
}

// settleCaller charges what a caller owes and gives back what is theirs, before
// the question whose answer depends on it. It returns what was charged.
func (l *Limiter) settleCaller(ctx context.Context, key ratelimit.Key) int64 {
	ch, ok := l.prepaid.dueOf(key, l.answers)
	if !ok {
		return 0
	}
	l.charge(ctx, ch)
	return ch.credit
}

// Reset is as ratelimit.Limiter has it. Other nodes hear of it; one that can't may
// go on refusing without asking for up to a second.
func (l *Limiter) Reset(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit) error {
	l.deny.forget(key)
	l.turns.forget(key)
	if l.prepaid != nil {
		l.prepaid.forget(key)
	}
	l.outage.forget(ctx, key, limits)
	if len(limits) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	err := l.remove(ctx, key, limits)
	if err == nil {
		err = l.forgetTurns(ctx, l.turnNames(key, limits))
	}
	if err == nil {
		err = l.notify(ctx, key)
	}
	if err != nil {
		l.failed(l.b.lane(key), err)
		return &plugins.Unavailable{
			Reason: plugins.ReasonLimiterUnavailable, RetryAfter: retryClosed,
			Err: fmt.Errorf("resetting a limit in redis: %w", err),
		}
	}
	return nil
}
