package jwks

import (
	"bytes"
	"math/big"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSmallPrimes multiplies what smallprimes.bin has to hold.
func TestSmallPrimes(t *testing.T) {
	product, some := big.NewInt(1), big.NewInt(1)
	for p := range oddPrimes(maxSmallFactor) {
		if some.Mul(some, new(big.Int).SetUint64(p)); some.BitLen() > 1<<13 {
			product.Mul(product, some)
			some.SetUint64(1)
		}
	}
	want := product.Mul(product, some).Bytes()
	if *update {
		require.NoError(t, os.WriteFile("smallprimes.bin", want, 0o600))
		return
	}
	assert.True(t, bytes.Equal(want, smallPrimeOctets), "go test ./jwks -run TestSmallPrimes -update")
}
