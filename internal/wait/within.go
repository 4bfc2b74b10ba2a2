package wait

import "context"

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
