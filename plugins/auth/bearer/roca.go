package bearer

import "math/big"

// rocaPrimes are the small primes by which moduli of the flawed Infineon
// library can be told from others (Nemec et al., "The Return of Coppersmith's
// Attack", CCS 2017, section 3).
var rocaPrimes = [...]uint64{
	11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
}

// hasROCAFingerprint reports whether the modulus is, for every one of these
// primes p, a power of 65537 modulo p. An honest modulus is that by chance with
// a probability below 2^-27.
func hasROCAFingerprint(n *big.Int) bool {
	var m, prime big.Int
	for _, p := range rocaPrimes {
		residue := m.Mod(n, prime.SetUint64(p)).Uint64()
		if !isPowerOf65537(residue, p) {
			return false
		}
	}
	return true
}

func isPowerOf65537(residue, p uint64) bool {
	power := uint64(1)
	for range p {
		if power == residue {
			return true
		}
		power = power * 65537 % p
	}
	return false
}
