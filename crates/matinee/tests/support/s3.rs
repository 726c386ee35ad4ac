//! A bucket on the disk behind a real S3 server in this process; it can cut connections and change objects.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    self, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, StreamingBlob,
};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Who may ask.
pub(crate) const ACCESS: &str = "access";
/// The key.
pub(crate) const SECRET: &str = "secret-of-the-test";

/// What goes wrong, and what was asked.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// A body ends, broken, after so many bytes; 0 = whole.
    pub(crate) cut_after: AtomicU64,
    /// The pause before each part of a body, in milliseconds.
    pub(crate) slow_ms: AtomicU64,
    /// Pages that were listed.
    pub(crate) pages: AtomicU32,
    /// First bytes of the ranges that were read.
    pub(crate) reads: Mutex<Vec<u64>>,
    /// Numbers of the parts that came.
    pub(crate) parts: Mutex<Vec<i32>>,
}

/// A running service with one bucket, `films`.
pub(crate) struct Service {
    dir: TempDir,
    pub(crate) port: u16,
    pub(crate) faults: Arc<Faults>,
}

impl Service {
    /// Starts the service, whose objects tell by a hash when they change.
    pub(crate) async fn start() -> Self {
        Self::of(true).await
    }

    /// Starts the service as it is: hashing long objects at each question takes too long.
    pub(crate) async fn plain() -> Self {
        Self::of(false).await
    }

    async fn of(hashes: bool) -> Self {
        let dir = tempfile::Builder::new().prefix("bucket-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::create_dir(dir.path().join("films")).unwrap();
        let faults = Arc::new(Faults::default());
        let disk = FileSystem::new(dir.path()).unwrap();
        let service = Faulty { root: dir.path().to_owned(), disk, faults: Arc::clone(&faults), hashes };
        let mut service = S3ServiceBuilder::new(service);
        service.set_auth(SimpleAuth::from_single(ACCESS, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // A connection that is cut is what the test wants.
                    drop(server.serve_connection(TokioIo::new(socket), service).await);
                });
            }
        });
        Self { dir, port, faults }
    }

    /// The configuration of a server that looks through this bucket.
    pub(crate) fn config(&self, prefix: &str, more: &str) -> String {
        format!(
            "[[bucket]]\nname = \"films\"\nurl = \"s3://films/{prefix}\"\nendpoint = \"http://127.0.0.1:{}\"\n\
             access_key = \"{ACCESS}\"\nsecret_key = \"{SECRET}\"\nevery = \"5s\"\n{more}",
            self.port
        )
    }

    /// The configuration of a server that keeps copies in this bucket.
    pub(crate) fn store(&self, name: &str, more: &str) -> String {
        format!(
            "[[store]]\nname = \"{name}\"\nkind = \"s3\"\nurl = \"s3://films/copies\"\nendpoint = \"http://127.0.0.1:{}\"\n\
             access_key = \"{ACCESS}\"\nsecret_key = \"{SECRET}\"\n{more}",
            self.port
        )
    }

    /// Where the object with this key lies.
    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.dir.path().join("films").join(key)
    }

    /// Puts an object.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.path(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

struct Faulty {
    root: PathBuf,
    disk: FileSystem,
    faults: Arc<Faults>,
    /// Are objects hashed for their tags?
    hashes: bool,
}

/// What the bytes of a file are; the file system's own server leaves it out of its listings.
fn etag(path: &Path) -> ETag {
    let bytes = std::fs::read(path).unwrap_or_default();
    ETag::Strong(blake3::hash(&bytes).to_hex()[..32].to_owned())
}

impl Faulty {
    fn etag(&self, bucket: &str, key: &str) -> Option<ETag> {
        self.hashes.then(|| etag(&self.root.join(bucket).join(key)))
    }
}

/// Calls that the file system's own server answers.
macro_rules! as_it_is {
    ($($call:ident: $input:ident -> $output:ident;)*) => {$(
        // As `async_trait` would write it: it does not see into other macros.
        fn $call<'own, 'answer>(
            &'own self,
            request: S3Request<dto::$input>,
        ) -> BoxFuture<'answer, S3Result<S3Response<dto::$output>>>
        where
            'own: 'answer,
            Self: 'answer,
        {
            Box::pin(self.disk.$call(request))
        }
    )*};
}

#[async_trait::async_trait]
impl S3 for Faulty {
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.faults.pages.fetch_add(1, Ordering::Relaxed);
        let bucket = request.input.bucket.clone();
        let mut answer = self.disk.list_objects_v2(request).await?;
        for object in answer.output.contents.iter_mut().flatten() {
            let found = object.key.as_ref().and_then(|key| self.etag(&bucket, key));
            object.e_tag = found.or(object.e_tag.take());
        }
        Ok(answer)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let found = self.etag(&request.input.bucket, &request.input.key);
        let mut answer = self.disk.head_object(request).await?;
        answer.output.e_tag = found.or(answer.output.e_tag);
        Ok(answer)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &request.input;
        let found = self.etag(&input.bucket, &input.key);
        if let Some(dto::ETagCondition::ETag(wanted)) = &input.if_match
            && found.as_ref().is_some_and(|found| found != wanted)
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let first = match input.range {
            Some(dto::Range::Int { first, .. }) => first,
            _ => 0,
        };
        self.faults.reads.lock().unwrap().push(first);
        let mut answer = self.disk.get_object(request).await?;
        answer.output.e_tag = found.or(answer.output.e_tag);
        let faults = Arc::clone(&self.faults);
        let mut sent = 0;
        answer.output.body = answer.output.body.map(|body| {
            StreamingBlob::wrap(body.then(move |part| {
                sent += part.as_ref().map_or(0, |part| part.len() as u64);
                let (slow_ms, max) = (&faults.slow_ms, &faults.cut_after);
                let (slow_ms, max) = (slow_ms.load(Ordering::Relaxed), max.load(Ordering::Relaxed));
                async move {
                    tokio::time::sleep(std::time::Duration::from_millis(slow_ms)).await;
                    if max > 0 && sent > max {
                        Err(std::io::Error::other("cut"))
                    } else {
                        part.map_err(std::io::Error::other)
                    }
                }
            }))
        });
        Ok(answer)
    }

    async fn upload_part(
        &self,
        request: S3Request<dto::UploadPartInput>,
    ) -> S3Result<S3Response<dto::UploadPartOutput>> {
        let number = request.input.part_number;
        let answer = self.disk.upload_part(request).await?;
        self.faults.parts.lock().unwrap().push(number);
        Ok(answer)
    }

    as_it_is! {
        delete_object: DeleteObjectInput -> DeleteObjectOutput;
        copy_object: CopyObjectInput -> CopyObjectOutput;
        put_object: PutObjectInput -> PutObjectOutput;
        create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput;
        complete_multipart_upload: CompleteMultipartUploadInput -> CompleteMultipartUploadOutput;
        abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput;
        list_parts: ListPartsInput -> ListPartsOutput;
    }
}
