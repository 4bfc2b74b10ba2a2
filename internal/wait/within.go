package wait

import (
	"context"
	"time"
)

// Most returns a context that ends with three quarters of the time until a deadline, if there is
// one: the rest is for what comes after.
func Most(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/4))
	}
	return ctx, func() {}
}

// Within returns what do does, or the error of ctx if that ends before. Then do goes on: it is
// for reads that nothing ends, such as that of a pipe which nobody writes to.
func Within[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := do()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
