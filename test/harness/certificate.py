"""A certificate that is signed by itself."""
import subprocess


def make_certificate(directory, name, address=None):
    """Returns the files of the certificate and of its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    names = f"DNS:{name}" + (f",IP:{address}" if address else "")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    return certificate, key
