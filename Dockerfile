# Both binaries; the image runs the controller unless told otherwise.
FROM rust:1.95-bookworm AS builder
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bins

# It has what the binaries link (libc, libgcc) and the certificate authorities, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=builder /src/target/release/sluice /src/target/release/kubectl-sluice /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/sluice"]
CMD ["controller"]
