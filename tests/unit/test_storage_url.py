"""geo_resources.storage, blobs and azure_access: what needs no storage."""

import logging
import subprocess
import sys
import traceback

import dagster as dg
import pytest
from dagster_azure.blob import (
    AzureBlobStorageDefaultCredential,
    AzureBlobStorageKeyCredential,
    AzureBlobStorageSASTokenCredential,
)
from hypothesis import given
from hypothesis import strategies as st

from geo_resources.azure_access import KeySigner, SasSigner, TokenSigner, open_access
from geo_resources.blobs import (
    UnusableNameError,
    check_container,
    check_name,
    check_prefix,
)
from geo_resources.storage import (
    DefaultCredential,
    KeyCredential,
    SasCredential,
    Storage,
)

SECRET = "dG9wc2VjcmV0"
KEY_STRING = (
    f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={SECRET}==;"
    "EndpointSuffix=core.windows.net"
)
SAS_STRING = f"BlobEndpoint=http://127.0.0.1:1/acc/;SharedAccessSignature=?sig={SECRET}"
NAMES = [
    "a.tif",
    "a b/c d.tif",
    "100%/#1+2@x~y.tif",
    "ü/é/雪.tif",
    "a?b&c=d;e:f.tif",
    "pct%2Fx.tif",
]


@pytest.fixture
def local(tmp_path):
    storage = Storage(url=(tmp_path / "my store#1").as_uri())
    storage.ensure_containers(["bronze"])
    return storage


@pytest.fixture
def azure():
    return Storage(url="az://acc", connection_string=KEY_STRING)


def test_importing_the_resource_loads_no_cloud_library():
    code = (
        "import sys, geo_resources.storage;"
        "print({name.split('.')[0] for name in sys.modules}"
        " & {'azure', 'obstore', 'rasterio', 'dagster_azure'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", NAMES)
def test_an_href_leads_back_to_container_and_name(local, azure, name):
    for storage in (local, azure):
        href = storage.href("bronze", name)
        assert href.isascii()
        assert not set(href) & set(" #?")
        assert storage.parse_href(href) == ("bronze", name)


@given(st.text(min_size=1, max_size=50))
def test_an_azure_href_of_any_usable_name_leads_back(name):
    azure = Storage(url="az://acc", connection_string=KEY_STRING)
    try:
        check_name(name)
    except UnusableNameError:
        return
    assert azure.parse_href(azure.href("bronze", name)) == ("bronze", name)


def test_an_ordinary_href_reads_as_one_expects(local, azure, tmp_path):
    assert azure.href("silver", "a/b@tiff.tif") == "az://silver/a/b@tiff.tif"
    assert azure.public_url("silver", "a b.tif") == (
        "https://acc.blob.core.windows.net/silver/a%20b.tif"
    )
    root = tmp_path / "my store#1"
    assert local.public_url("bronze", "a b.tif") == f"{root}/bronze/a b.tif"
    assert local.href("bronze", "a b.tif").endswith("my%20store%231/bronze/a%20b.tif")


@pytest.mark.parametrize(
    "href",
    [
        "https://acc.blob.core.windows.net/bronze/a",
        "az://bronze/../x",
        "az://bronze/%2e%2e/x",
        "az://bronze",
        "az://bronze/a?sig=1",
        "file:///etc/passwd",
        "a.tif",
    ],
)
def test_an_href_of_another_storage_is_refused(local, azure, href):
    for storage in (local, azure):
        with pytest.raises(ValueError, match=r"\S"):
            storage.parse_href(href)


def test_a_local_href_cannot_leave_the_root(local, tmp_path):
    root = (tmp_path / "my store#1").as_uri()
    for way in ("bronze/../../x", "bronze/%2e%2e/%2e%2e/x", "../x/y"):
        with pytest.raises(ValueError, match=r"\S"):
            local.parse_href(f"{root}/{way}")


@pytest.mark.parametrize(
    "url",
    ["", "s3://x", "az://", "az://acc/container", "file://host/x", "/tmp", "file:x"],  # noqa: S108
)
def test_a_url_we_do_not_know_is_refused(url):
    with pytest.raises(ValueError, match="file:///folder"):
        _ = Storage(url=url).blobs


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "a/../b",
        "a/./b",
        "a\nb",
        "a\0",
        "\udcff",
        "x" * 1025,
    ],
)
def test_an_unusable_name_is_refused(name):
    with pytest.raises(UnusableNameError):
        check_name(name)


@pytest.mark.parametrize(
    "container", ["..", "a", "A-b", "a/b", "-ab", "a--b", "x" * 64]
)
def test_an_unusable_container_is_refused(container):
    with pytest.raises(UnusableNameError):
        check_container(container)


def test_the_containers_of_the_design_are_usable():
    for container in ("bronze", "silver", "gold", "abc", "a" * 63, "test-1f"):
        assert check_container(container) == container


@pytest.mark.parametrize(
    "prefix",
    ["", "/", "//", "a", "a/", "a/b", "/a/", "//a/", "a//", "a/../", "../a/", "./a/"],
)
def test_a_prefix_that_deletes_too_much_is_refused(local, azure, prefix):
    for storage in (local, azure):
        with pytest.raises(ValueError, match=r"prefix|unusable"):
            storage.delete_prefix("bronze", prefix)


def test_the_prefix_of_one_product_is_accepted():
    assert check_prefix("a/b/") == "a/b/"


def test_credentials_of_dagster_azure_are_taken():
    key = AzureBlobStorageKeyCredential(key=SECRET)
    sas = AzureBlobStorageSASTokenCredential(token=SECRET)
    own = AzureBlobStorageDefaultCredential(kwargs={"managed_identity_client_id": "x"})
    taken = [Storage(url="az://acc", credential=c).credential for c in (key, sas, own)]
    assert taken == [
        KeyCredential(key=SECRET),
        SasCredential(token=SECRET),
        DefaultCredential(kwargs={"managed_identity_client_id": "x"}),
    ]


def test_an_environment_variable_is_read_when_the_run_starts(monkeypatch):
    seen = []

    @dg.asset
    def probe(storage: Storage) -> None:
        assert isinstance(storage.credential, KeyCredential)
        seen.append(storage.credential.key)

    credential = KeyCredential(key=dg.EnvVar("STRATA_TEST_KEY"))
    storage = Storage(url="az://acc", credential=credential)
    monkeypatch.setenv("STRATA_TEST_KEY", SECRET)
    assert dg.materialize([probe], resources={"storage": storage}).success
    assert seen == [SECRET]


@pytest.mark.parametrize(
    ("variable", "value", "signer"),
    [
        ("AZURE_STORAGE_CONNECTION_STRING", KEY_STRING, KeySigner(f"{SECRET}==")),
        ("AZURE_STORAGE_ACCOUNT_KEY", SECRET, KeySigner(SECRET)),
        ("AZURE_STORAGE_SAS_TOKEN", f"?sig={SECRET}", SasSigner(f"sig={SECRET}")),
    ],
)
def test_without_a_credential_the_settings_are_asked(
    monkeypatch, variable, value, signer
):
    for name in ("CONNECTION_STRING", "ACCOUNT_KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    nobody = Storage(url="az://acc")
    assert isinstance(nobody.blobs.access.signer, TokenSigner)
    monkeypatch.setenv(variable, value)
    assert Storage(url="az://acc").blobs.access.signer == signer
    own = Storage(url="az://acc", credential=DefaultCredential())
    assert isinstance(own.blobs.access.signer, TokenSigner)


def test_a_connection_string_says_where_and_how():
    key = open_access("acc", DefaultCredential(), KEY_STRING)
    assert key.endpoint == "https://acc.blob.core.windows.net"
    assert key.signer == KeySigner(f"{SECRET}==")
    sas = open_access("acc", DefaultCredential(), SAS_STRING)
    assert sas.endpoint == "http://127.0.0.1:1/acc"
    assert sas.signer == SasSigner(f"sig={SECRET}")


def test_a_connection_string_without_a_secret_leaves_signing_to_the_identity():
    endpoint = "BlobEndpoint=https://acc.private.example"
    access = open_access("acc", DefaultCredential(), endpoint)
    assert access.endpoint == "https://acc.private.example"
    assert isinstance(access.signer, TokenSigner)


def test_the_emulator_shorthand_is_spelt_out():
    access = open_access(
        "devstoreaccount1", DefaultCredential(), "UseDevelopmentStorage=true"
    )
    assert access.endpoint == "http://127.0.0.1:10000/devstoreaccount1"
    assert isinstance(access.signer, KeySigner)


@pytest.mark.parametrize(
    "connection_string",
    [KEY_STRING.replace("=acc;", "=other;"), f"Key={SECRET}", SECRET],
)
def test_a_connection_string_that_does_not_fit_is_refused(connection_string):
    with pytest.raises(ValueError, match="connection string") as error:
        open_access("acc", DefaultCredential(), connection_string)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "storage",
    [
        Storage(url="az://acc", connection_string=KEY_STRING),
        Storage(url="az://acc", connection_string=SAS_STRING),
        Storage(url="az://acc", credential=KeyCredential(key=f"{SECRET}==")),
        Storage(url="az://acc", credential=SasCredential(token=f"sig={SECRET}")),
        Storage(
            url="az://acc", credential=DefaultCredential(kwargs={"password": SECRET})
        ),
    ],
    ids=["key string", "SAS string", "key", "SAS", "identity"],
)
def test_no_repr_shows_a_secret(storage):
    shown = [storage, storage.credential, storage.blobs, vars(storage.blobs)]
    if not isinstance(storage.credential, DefaultCredential):
        shown.append(storage.gdal("bronze", "a.tif"))  # an identity has to be asked
    assert SECRET not in "".join(map(repr, shown)) + "".join(map(str, shown))


def test_no_error_of_the_configuration_shows_a_secret():
    for wrong in ({}, {"url": 5}, {"url": "az://acc", "credential": {"key": SECRET}}):
        with pytest.raises(Exception, match=r"\S") as error:
            Storage(connection_string=KEY_STRING, **wrong)
        assert SECRET not in "".join(traceback.format_exception(error.value))


def test_no_error_or_log_of_a_request_shows_a_secret(caplog):
    caplog.set_level(logging.DEBUG)
    sas = f"BlobEndpoint=http://127.0.0.1:1/acc;SharedAccessSignature=sig={SECRET}"
    storage = Storage(url="az://acc", connection_string=sas)
    with pytest.raises(Exception, match="error sending request") as error:
        storage.stat("bronze", "a.tif")
    assert SECRET not in "".join(traceback.format_exception(error.value))
    assert SECRET not in caplog.text


def test_gdal_signs_with_the_token_of_the_identity():
    class Identity:
        def get_token(self, *scopes):
            assert scopes == ("https://storage.azure.com/.default",)
            return type("Token", (), {"token": SECRET, "expires_on": 4102444800})

    signer = TokenSigner(Identity())
    options = signer.for_gdal("acc", "https://acc.example")
    assert options == {
        "AZURE_STORAGE_CONNECTION_STRING": "",
        "AZURE_STORAGE_ACCOUNT": "acc",
        "AZURE_STORAGE_ACCESS_TOKEN": SECRET,
        "CPL_AZURE_ENDPOINT": "https://acc.example",
    }
    assert signer.for_obstore()["expires_at"].year == 2100
    assert SECRET not in repr(signer)
