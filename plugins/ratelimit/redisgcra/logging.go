package redisgcra

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// silenceLibrary keeps go-redis from writing a line on standard error for each
// connection that fails, which is thousands in an outage and says the address
// each time. Its logger is one for the process, so that this is done once. What
// fails is in the errors that calls return, and in Health.
var silenceLibrary = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
