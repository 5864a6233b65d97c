"""Sidecars as the specifications of their formats have them, with known values."""

import hashlib
import json
from datetime import UTC, datetime

from geo_assets.sensing.model import Sidecar

LANDSAT = "LC09_L2SP_195026_20240617_20240618_02_T1"
MTL_GROUPS = {
    "PRODUCT_CONTENTS": {
        "ORIGIN": "Image courtesy of the U.S. Geological Survey",
        "LANDSAT_PRODUCT_ID": LANDSAT,
        "PROCESSING_LEVEL": "L2SP",
        "COLLECTION_NUMBER": "02",
    },
    "IMAGE_ATTRIBUTES": {
        "SPACECRAFT_ID": "LANDSAT_9",
        "SENSOR_ID": "OLI_TIRS",
        "WRS_PATH": "195",
        "WRS_ROW": "026",
        "NADIR_OFFNADIR": "NADIR",
        "DATE_ACQUIRED": "2024-06-17",
        "SCENE_CENTER_TIME": "10:16:21.7613510Z",
        "CLOUD_COVER": "12.34",
        "ROLL_ANGLE": "-0.001",
        "SUN_AZIMUTH": "-214.75",
        "SUN_ELEVATION": "62.5",
    },
    "LEVEL1_PROCESSING_RECORD": {"PROCESSING_LEVEL": "L1TP"},
}


def mtl_text():
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for group, values in MTL_GROUPS.items():
        lines.append(f"  GROUP = {group}")
        for key, value in values.items():
            quoted = value if key.endswith(("COVER", "ANGLE")) else f'"{value}"'
            lines.append(f"    {key} = {quoted}")
        lines.append(f"  END_GROUP = {group}")
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END", ""])


def mtl_json():
    return json.dumps({"LANDSAT_METADATA_FILE": MTL_GROUPS})


def mtl_xml():
    groups = "".join(
        f"<{group}>{''.join(f'<{k}>{v}</{k}>' for k, v in values.items())}</{group}>"
        for group, values in MTL_GROUPS.items()
    )
    head = '<?xml version="1.0" encoding="UTF-8" standalone="no" ?>\n'
    return f"{head}<LANDSAT_METADATA_FILE>{groups}</LANDSAT_METADATA_FILE>"


SAFE = "S2B_MSIL2A_20240617T101559_N0510_R065_T32UMU_20240617T140201.SAFE"
GRANULE = f"{SAFE}/GRANULE/L2A_T32UMU_A038027_20240617T101939"
S2_IMAGE = f"{GRANULE}/IMG_DATA/R10m/T32UMU_20240617T101559_B04_10m.jp2"
MTD_PRODUCT = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product
    xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>2024-06-17T10:15:59.024Z</PRODUCT_START_TIME>
      <PRODUCT_STOP_TIME>2024-06-17T10:15:59.024Z</PRODUCT_STOP_TIME>
      <PROCESSING_LEVEL>Level-2A</PROCESSING_LEVEL>
      <PROCESSING_BASELINE>05.10</PROCESSING_BASELINE>
      <Datatake datatakeIdentifier="GS2B_20240617T101559_038027_N05.10">
        <SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME>
        <SENSING_ORBIT_NUMBER>65</SENSING_ORBIT_NUMBER>
        <SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION>
      </Datatake>
    </Product_Info>
  </n1:General_Info>
  <n1:Quality_Indicators_Info>
    <Cloud_Coverage_Assessment>41.5</Cloud_Coverage_Assessment>
  </n1:Quality_Indicators_Info>
</n1:Level-2A_User_Product>
"""
MTD_TILE = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI.xsd">
  <n1:General_Info>
    <SENSING_TIME metadataLevel="Standard">2024-06-17T10:25:44.123456Z</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Angles metadataLevel="Standard">
      <Mean_Sun_Angle>
        <ZENITH_ANGLE unit="deg">27.5</ZENITH_ANGLE>
        <AZIMUTH_ANGLE unit="deg">149.25</AZIMUTH_ANGLE>
      </Mean_Sun_Angle>
      <Mean_Viewing_Incidence_Angle_List>
        <Mean_Viewing_Incidence_Angle bandId="0">
          <ZENITH_ANGLE unit="deg">4.0</ZENITH_ANGLE>
          <AZIMUTH_ANGLE unit="deg">290.0</AZIMUTH_ANGLE>
        </Mean_Viewing_Incidence_Angle>
        <Mean_Viewing_Incidence_Angle bandId="9">
          <ZENITH_ANGLE unit="deg">5.0</ZENITH_ANGLE>
          <AZIMUTH_ANGLE unit="deg">280.0</AZIMUTH_ANGLE>
        </Mean_Viewing_Incidence_Angle>
      </Mean_Viewing_Incidence_Angle_List>
    </Tile_Angles>
  </n1:Geometric_Info>
  <n1:Quality_Indicators_Info metadataLevel="Standard">
    <Image_Content_QI>
      <CLOUDY_PIXEL_PERCENTAGE>7.25</CLOUDY_PIXEL_PERCENTAGE>
    </Image_Content_QI>
  </n1:Quality_Indicators_Info>
</n1:Level-2A_Tile_ID>
"""

IMD = """version = "28.4";
generationTime = 2024-06-19T01:02:03.000000Z;
productOrderId = "050123456010_01_P001";
productLevel = "LV2A";
BEGIN_GROUP = BAND_N
\tULLon = 8.50000000;
\tTDILevel = 24;
END_GROUP = BAND_N
BEGIN_GROUP = IMAGE_1
\tsatId = "WV03";
\tTLCTime = 2024-06-17T10:37:12.100000Z;
\tTLCList = (
\t\t(0, 0.000000),
\t\t(33656, -1.695800) );
\tfirstLineTime = 2024-06-17T10:37:11.923850Z;
\tmeanCollectedGSD = 1.330;
\tmeanProductGSD = 1.401;
\tmeanSunAz = 151.3;
\tmeanSunEl = 62.7;
\tmeanSatAz = 213.4;
\tmeanSatEl = 71.6;
\tmeanOffNadirViewAngle = 16.9;
\tcloudCover = 0.071;
END_GROUP = IMAGE_1
END;
"""
MAXAR_XML = """<?xml version="1.0" encoding="UTF-8"?>
<isd><IMD><VERSION>28.4</VERSION><PRODUCTLEVEL>LV2A</PRODUCTLEVEL>
<IMAGE><SATID>WV03</SATID><FIRSTLINETIME>2024-06-17T10:37:11.923850Z</FIRSTLINETIME>
<MEANCOLLECTEDGSD>1.330</MEANCOLLECTEDGSD><MEANSUNAZ>151.3</MEANSUNAZ>
<MEANSUNEL>62.7</MEANSUNEL><MEANSATAZ>213.4</MEANSATAZ><MEANSATEL>71.6</MEANSATEL>
<MEANOFFNADIRVIEWANGLE>16.9</MEANOFFNADIRVIEWANGLE><CLOUDCOVER>0.071</CLOUDCOVER>
</IMAGE></IMD></isd>
"""

PLANET = {
    "type": "Feature",
    "id": "20240617_101010_12_2345",
    "geometry": {"type": "Point", "coordinates": [9.0, 48.0]},
    "properties": {
        "acquired": "2024-06-17T10:10:10.123456Z",
        "cloud_cover": 0.25,
        "cloud_percent": 27,
        "gsd": 3.8,
        "instrument": "PSB.SD",
        "item_type": "PSScene",
        "pixel_resolution": 3,
        "provider": "planetscope",
        "satellite_azimuth": 285.7,
        "satellite_id": "2345",
        "snow_ice_percent": 1,
        "sun_azimuth": 120.5,
        "sun_elevation": 55.5,
        "view_angle": -3.1,
    },
}

DIMAP_2 = """<?xml version="1.0" encoding="UTF-8"?>
<Dimap_Document>
  <Metadata_Identification>
    <METADATA_FORMAT version="2.15">DIMAP</METADATA_FORMAT>
  </Metadata_Identification>
  <Dataset_Content>
    <CLOUD_COVERAGE unit="percent">3.5</CLOUD_COVERAGE>
    <SNOW_COVERAGE unit="percent">0</SNOW_COVERAGE>
  </Dataset_Content>
  <Processing_Information><Product_Settings>
    <PROCESSING_LEVEL>ORTHO</PROCESSING_LEVEL>
  </Product_Settings></Processing_Information>
  <Geometric_Data><Use_Area>
    <Located_Geometric_Values>
      <LOCATION_TYPE>Top Center</LOCATION_TYPE>
      <Acquisition_Angles><VIEWING_ANGLE unit="deg">9</VIEWING_ANGLE>
        <INCIDENCE_ANGLE unit="deg">9</INCIDENCE_ANGLE></Acquisition_Angles>
    </Located_Geometric_Values>
    <Located_Geometric_Values>
      <LOCATION_TYPE>Center</LOCATION_TYPE>
      <Acquisition_Angles>
        <AZIMUTH_ANGLE unit="deg">180.0</AZIMUTH_ANGLE>
        <VIEWING_ANGLE unit="deg">-12.5</VIEWING_ANGLE>
        <INCIDENCE_ANGLE unit="deg">13.75</INCIDENCE_ANGLE>
      </Acquisition_Angles>
      <Solar_Incidences>
        <SUN_AZIMUTH unit="deg">160.25</SUN_AZIMUTH>
        <SUN_ELEVATION unit="deg">61.5</SUN_ELEVATION>
      </Solar_Incidences>
      <Ground_Sample_Distance>
        <GSD_ACROSS_TRACK unit="m">0.7</GSD_ACROSS_TRACK>
        <GSD_ALONG_TRACK unit="m">0.74</GSD_ALONG_TRACK>
      </Ground_Sample_Distance>
    </Located_Geometric_Values>
  </Use_Area></Geometric_Data>
  <Dataset_Sources><Source_Identification><Strip_Source>
    <MISSION>PHR</MISSION><MISSION_INDEX>1B</MISSION_INDEX>
    <INSTRUMENT>PHR</INSTRUMENT><INSTRUMENT_INDEX>1B</INSTRUMENT_INDEX>
    <IMAGING_DATE>2024-06-17</IMAGING_DATE><IMAGING_TIME>10:30:00.5Z</IMAGING_TIME>
  </Strip_Source></Source_Identification></Dataset_Sources>
</Dimap_Document>
"""
DIMAP_1 = """<?xml version="1.0" encoding="ISO-8859-1"?>
<Dimap_Document>
  <Dataset_Sources><Source_Information><Scene_Source>
    <MISSION>SPOT</MISSION><MISSION_INDEX>5</MISSION_INDEX>
    <INSTRUMENT>HRG</INSTRUMENT><INSTRUMENT_INDEX>1</INSTRUMENT_INDEX>
    <IMAGING_DATE>2004-06-17</IMAGING_DATE><IMAGING_TIME>10:30:00</IMAGING_TIME>
    <INCIDENCE_ANGLE>-10.5</INCIDENCE_ANGLE><VIEWING_ANGLE>9.25</VIEWING_ANGLE>
    <SUN_AZIMUTH>150.5</SUN_AZIMUTH><SUN_ELEVATION>60.25</SUN_ELEVATION>
  </Scene_Source></Source_Information></Dataset_Sources>
</Dimap_Document>
"""


def sidecar(blob, text):
    data = text if isinstance(text, bytes) else text.encode()
    return Sidecar(
        blob=blob,
        href=f"az://bronze/{blob}",
        etag="0x1",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        last_modified=datetime(2024, 6, 20, tzinfo=UTC),
        content=data,
    )
