// Package mcuboot is MCUboot's image format: it reads, writes, signs and verifies
// images, and knows no device.
//
// An image is a header of 32 bytes (little endian), more header as the maker wants
// it, the payload, an area of protected TLVs and one of others. Hash and signature
// stand in the second area and cover all that comes before it. What is written of
// an image that was read is what was read, byte for byte.
//
// A [Verifier] says what a boot loader has to say, as MCUboot's bootutil does
// (image_validate.c, tlv.c), with the strict answer where builds of it differ: the
// key is named by hash or stands in the image whole, it is one of the device's own,
// the hash is there and right, the signature is of the key's own scheme. [Unsigned]
// is the same with the signature check taken out, and [Policy] what a device asks
// of a genuine image besides.
//
// Not here: images whose payload is encrypted can be read and written; their hash is
// over what they decrypt to, so they are refused as [ErrUnsupported]. Nor are P-384
// signatures.
package mcuboot
